"""Group nodes, which front ends made before subgraphs."""

from __future__ import annotations

from typing import Any

import pytest
from ui_files import converted, drawn, inputs_of, node, out, slot

from comfykit.errors import WorkflowError


def group(**more: Any) -> dict[str, Any]:
    """A reroute and a sampler, whose steps come from a primitive; the latent is shown."""
    nodes = [
        {"type": "Reroute", "index": 0, "inputs": [slot("")], "outputs": [out("*")]},
        {"type": "PrimitiveNode", "index": 1, "outputs": [out("INT")], "widgets_values": [20, "fixed"]},
        {
            "type": "Sample",
            "index": 2,
            "inputs": [
                slot("model", "MODEL"),
                slot("steps", "INT", widget=True),
                slot("positive", "CONDITIONING"),
            ],
            "outputs": [out("LATENT")],
            "widgets_values": [7, "fixed", 25, "ddim"],
        },
    ]
    links = [[0, 0, 2, 0, 1, "MODEL"], [1, 0, 2, 1, 2, "INT"], [None, 0, 0, 0, 4, "MODEL"]]
    return {"nodes": nodes, "links": links, "external": [], "config": {}, **more}


def using(
    kind: str = "workflow>Mine", values: Any = None, made: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Load -> a node of the group, 57 -> Save."""
    instance = node(
        57, kind, values, inputs=[slot("model", "MODEL", 1), slot("positive")], outputs=[out("LATENT")]
    )
    nodes = [
        node(4, "Load", ["a.safetensors"], outputs=[out("MODEL")]),
        instance,
        node(9, "Save", ["x"], inputs=[slot("latent", "LATENT", 2)]),
    ]
    groups = {"Mine": group() if made is None else made}
    return drawn(nodes, [(1, 4, 0, 57, 0), (2, 57, 0, 9, 0)], extra={"groupNodes": groups})


@pytest.mark.parametrize("kind", ["workflow>Mine", "workflow/Mine"])
def test_inner_nodes_are_called_by_their_index(kind: str) -> None:
    prompt = converted(using(kind)).prompt
    assert list(prompt) == ["4", "9", "57:2"]
    assert prompt["57:2"]["inputs"] == {"seed": 7, "steps": 20, "sampler": "ddim", "model": ["4", 0]}
    assert prompt["9"]["inputs"]["latent"] == ["57:2", 0]


def test_values_of_the_node_are_those_of_its_inner_nodes_in_their_order() -> None:
    document = using(values=[33, "fixed", 99, "randomize", "euler"])
    assert inputs_of(document, "57:2") == {"seed": 99, "steps": 33, "sampler": "euler", "model": ["4", 0]}


def test_an_inner_value_holds_where_the_node_has_none() -> None:
    assert inputs_of(using(values=[33, "fixed"]), "57:2")["seed"] == 7


def test_a_field_that_was_hidden_is_not_among_the_values() -> None:
    made = group(config={"1": {"input": {"value": {"visible": False}}}})
    document = using(values=[99, "fixed", "euler"], made=made)
    assert inputs_of(document, "57:2") == {"seed": 99, "steps": 20, "sampler": "euler", "model": ["4", 0]}


def test_a_field_may_be_linked_under_a_name_of_its_own() -> None:
    document = using(made=group(config={"2": {"input": {"sampler": {"name": "how"}}}}))
    document["nodes"][1]["inputs"].append(slot("how", "COMBO", 3, widget=True))
    document["nodes"].append(node(5, "PrimitiveNode", ["euler"]))
    document["links"].append([3, 5, 0, 57, 2, "COMBO"])
    assert inputs_of(document, "57:2")["sampler"] == "euler"


def test_an_output_may_be_shown_although_it_is_taken_inside() -> None:
    made = group(external=[[0, 0, "MODEL"]])
    document = using(made=made)
    document["nodes"][1]["outputs"] = [out("MODEL"), out("LATENT")]
    document["links"][1][2] = 1
    assert inputs_of(document, "9")["latent"] == ["57:2", 0]
    document["links"][1][2] = 0
    assert inputs_of(document, "9")["latent"] == ["4", 0]


def test_external_may_hold_whole_nodes() -> None:
    document = using(made=group(external=[[{"type": "Sample", "index": 2}, 0, "LATENT"]]))
    assert inputs_of(document, "9")["latent"] == ["57:2", 0]


def test_a_group_that_is_not_there_is_an_unknown_class() -> None:
    document = using("workflow>Other", [1, 2])
    (problem,) = converted(document).problems
    assert problem.class_type == "workflow>Other"


def test_a_group_in_itself() -> None:
    made = group()
    made["nodes"].append({"type": "workflow>Mine", "index": 3})
    with pytest.raises(WorkflowError, match="contains itself"):
        converted(using(made=made))


@pytest.mark.parametrize(
    "made", [{}, {"nodes": 3, "links": 4}, {"nodes": [], "links": [[None], [1, 2, 3], 7, [{}, 0, [], 0]]}]
)
def test_odd_groups_break_nothing(made: dict[str, Any]) -> None:
    assert "4" in converted(using(made=made)).prompt
