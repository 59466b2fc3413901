"""Subgraphs: ids, links across their borders, and which value a field has."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from ui_files import converted, drawn, inputs_of, node, out, slot

from comfykit.errors import WorkflowError

OUTER = "11111111-0000-0000-0000-000000000001"
INNER = "11111111-0000-0000-0000-000000000002"


def link(key: int, origin: int, origin_slot: int, target: int, target_slot: int) -> dict[str, Any]:
    fields = ("id", "origin_id", "origin_slot", "target_id", "target_slot")
    return dict(zip(fields, (key, origin, origin_slot, target, target_slot), strict=True))


def sampling(**more: Any) -> dict[str, Any]:
    """A subgraph with the inputs model, steps and sampler (these two fields); it gives a latent."""
    inner = node(
        3,
        "Sample",
        [7, "fixed", 25, "ddim"],
        inputs=[
            slot("model", "MODEL", 1),
            slot("steps", "INT", 2, widget=True),
            slot("sampler", "COMBO", 3, widget=True),
        ],
        outputs=[out("LATENT")],
    )
    return {
        "id": OUTER,
        "name": "Sampling",
        "inputNode": {"id": -10},
        "outputNode": {"id": -20},
        "inputs": [{"name": name} for name in ("model", "steps", "sampler")],
        "outputs": [{"name": "LATENT"}],
        "nodes": [inner],
        "links": [link(1, -10, 0, 3, 0), link(2, -10, 1, 3, 1), link(3, -10, 2, 3, 2), link(4, 3, 0, -20, 0)],
        **more,
    }


def holder(values: Any = None, **fields: Any) -> dict[str, Any]:
    """Load -> an instance of the subgraph, node 57 -> Save."""
    instance = node(57, OUTER, values, inputs=[slot("model", "MODEL", 1)], outputs=[out("LATENT")])
    nodes = [
        node(4, "Load", ["a.safetensors"], outputs=[out("MODEL")]),
        {**instance, **fields},
        node(9, "Save", ["x"], inputs=[slot("latent", "LATENT", 2)]),
    ]
    return drawn(nodes, [(1, 4, 0, 57, 0), (2, 57, 0, 9, 0)], definitions={"subgraphs": [sampling()]})


def test_inner_nodes_are_called_by_both_ids() -> None:
    prompt = converted(holder()).prompt
    assert list(prompt) == ["4", "9", "57:3"]
    assert prompt["57:3"]["inputs"] == {"seed": 7, "steps": 25, "sampler": "ddim", "model": ["4", 0]}
    assert prompt["9"]["inputs"]["latent"] == ["57:3", 0]


def test_values_of_the_instance_go_before_those_inside() -> None:
    assert inputs_of(holder([30, "euler"]), "57:3") == {
        "seed": 7,
        "steps": 30,
        "sampler": "euler",
        "model": ["4", 0],
    }


def test_values_of_the_instance_by_name() -> None:
    document = holder([1], widgets_values_named={"sampler": "euler"})
    assert inputs_of(document, "57:3")["sampler"] == "euler"
    assert inputs_of(document, "57:3")["steps"] == 25


def test_values_that_fit_no_fields_are_not_guessed_at() -> None:
    assert inputs_of(holder([30]), "57:3")["steps"] == 25


def test_proxies_say_which_field_each_value_is_for() -> None:
    proxies = [["3", "seed"], ["-1", "sampler"], ["3", "control_after_generate"], ["-1", "steps"]]
    document = holder([None, "euler", None, 30], properties={"proxyWidgets": proxies})
    assert inputs_of(document, "57:3") == {"seed": 7, "steps": 30, "sampler": "euler", "model": ["4", 0]}
    document = holder([99, None, None, None], properties={"proxyWidgets": proxies})
    assert inputs_of(document, "57:3")["seed"] == 99


def test_a_link_from_outside_goes_before_the_field() -> None:
    document = holder([30, "euler"])
    document["nodes"][1]["inputs"].append(slot("steps", "INT", 3, widget=True))
    document["nodes"].append(node(5, "PrimitiveNode", [44, "fixed"]))
    document["links"].append([3, 5, 0, 57, 1, "INT"])
    assert inputs_of(document, "57:3")["steps"] == 44


def test_an_instance_may_list_its_inputs_in_another_order() -> None:
    document = holder()
    document["nodes"][1]["inputs"].insert(0, slot("steps", "INT", None, widget=True))
    assert inputs_of(document, "57:3")["model"] == ["4", 0]


def test_two_instances_have_values_of_their_own() -> None:
    document = holder([30, "euler"])
    document["nodes"].append(node(58, OUTER, [31, "ddim"], inputs=[slot("model", "MODEL", 1)]))
    prompt = converted(document).prompt
    assert prompt["57:3"]["inputs"]["steps"] == 30
    assert prompt["58:3"]["inputs"]["steps"] == 31


def nested(values: Any = None, **fields: Any) -> dict[str, Any]:
    """The subgraph, with a node in it that is an instance of another one with the sampler."""
    instance = node(
        8,
        INNER,
        values,
        inputs=[slot("model", "MODEL", 1), slot("steps", "INT", 2, widget=True)],
        outputs=[out("LATENT")],
    )
    outer = sampling(nodes=[{**instance, **fields}])
    outer["links"] = [link(1, -10, 0, 8, 0), link(2, -10, 1, 8, 1), link(4, 8, 0, -20, 0)]
    outer["inputs"] = outer["inputs"][:2]
    return drawn(
        holder([30])["nodes"],
        [(1, 4, 0, 57, 0), (2, 57, 0, 9, 0)],
        definitions={"subgraphs": [outer, sampling(id=INNER)]},
    )


def test_subgraphs_in_subgraphs() -> None:
    prompt = converted(nested()).prompt
    assert list(prompt) == ["4", "9", "57:8:3"]
    assert prompt["57:8:3"]["inputs"] == {"seed": 7, "steps": 30, "sampler": "ddim", "model": ["4", 0]}
    assert prompt["9"]["inputs"]["latent"] == ["57:8:3", 0]


def test_a_proxy_may_reach_through_two_borders() -> None:
    document = nested(properties={"proxyWidgets": [["3", "seed"]]}, widgets_values=[5])
    document["nodes"][1]["properties"] = {"proxyWidgets": [["8", "sampler"]]}
    document["nodes"][1]["widgets_values"] = ["euler"]
    inputs = inputs_of(document, "57:8:3")
    assert (inputs["seed"], inputs["sampler"]) == (5, "euler")


def test_a_muted_instance_runs_nothing() -> None:
    document = holder()
    document["nodes"][1]["mode"] = 2
    assert list(converted(document).prompt) == ["4"]


def test_a_bypassed_instance_passes_on() -> None:
    document = holder()
    document["nodes"][1] |= {"mode": 4, "outputs": [out("MODEL")]}
    assert inputs_of(document, "9")["latent"] == ["4", 0]


def test_an_output_that_nothing_inside_feeds() -> None:
    document = holder()
    document["definitions"]["subgraphs"][0]["links"].pop()
    result = converted(document)
    assert "latent" not in result.prompt["9"]["inputs"]
    assert "input 'latent'" in result.warnings[0]


def test_a_subgraph_that_contains_itself() -> None:
    document = holder()
    document["definitions"]["subgraphs"][0]["nodes"].append(node(5, OUTER))
    with pytest.raises(WorkflowError, match="'Sampling' contains itself"):
        converted(document)


def test_subgraphs_that_multiply() -> None:
    """Forty levels of two would be a million million nodes."""
    ids = [f"11111111-0000-0000-0000-{level:012}" for level in range(40)]
    subgraphs = [
        sampling(id=this, nodes=[node(1, below), node(2, below)], links=[])
        for this, below in zip(ids, [*ids[1:], "Load"], strict=True)
    ]
    document = drawn([node(1, ids[0])], definitions={"subgraphs": subgraphs})
    with pytest.raises(WorkflowError, match="more nodes than can be run"):
        converted(document)


def test_subgraphs_nested_without_end() -> None:
    ids = [f"11111111-0000-0000-0000-{level:012}" for level in range(200)]
    subgraphs = [
        sampling(id=this, nodes=[node(1, below)], links=[]) for this, below in itertools.pairwise(ids)
    ]
    with pytest.raises(WorkflowError, match="50 deep"):
        converted(drawn([node(1, ids[0])], definitions={"subgraphs": subgraphs}))
