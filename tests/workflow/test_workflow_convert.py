from __future__ import annotations

import copy
from typing import Any

import pytest
from ui_files import INTERFACES, NOW, converted, drawn, inputs_of, node, out, slot, small

from comfykit.errors import WorkflowError
from comfykit.workflow.convert import convert


def between(middle: dict[str, Any], *more: dict[str, Any]) -> dict[str, Any]:
    """Load -> the node 5 -> Sample -> Save."""
    document = small()
    document["nodes"] += [middle, *more]
    document["links"] = [[10, 4, 0, 5, 0, "*"], [1, 5, 0, 3, 0, "*"], [2, 3, 0, 9, 0, "*"]]
    return document


def test_values_links_and_titles() -> None:
    assert converted(small()).prompt == {
        "3": {
            "inputs": {"seed": 7, "steps": 25, "sampler": "ddim", "model": ["4", 0]},
            "class_type": "Sample",
            "_meta": {"title": "Sampler"},
        },
        "4": {
            "inputs": {"name": "a.safetensors"},
            "class_type": "Load",
            "_meta": {"title": "Load Checkpoint"},
        },
        "9": {
            "inputs": {"filename_prefix": "x", "latent": ["3", 0]},
            "class_type": "Save",
            "_meta": {"title": "Keep"},
        },
    }


def test_nothing_is_said_of_a_sound_workflow() -> None:
    result = converted(small())
    assert (result.problems, result.warnings) == ((), ())


def test_the_document_is_left_alone() -> None:
    document = small()
    before = copy.deepcopy(document)
    converted(document)
    assert document == before


def test_links_may_be_objects_as_in_version_1() -> None:
    document = small()
    fields = ("id", "origin_id", "origin_slot", "target_id", "target_slot", "type")
    document["links"] = [dict(zip(fields, link, strict=True)) for link in document["links"]]
    assert converted({**document, "version": 1}).prompt == converted(small()).prompt


def test_ids_may_be_texts() -> None:
    document = small()
    for entry in document["nodes"]:
        entry["id"] = f"n{entry['id']}"
    for link in document["links"]:
        link[1], link[3] = f"n{link[1]}", f"n{link[3]}"
    assert converted(document).prompt["n3"]["inputs"]["model"] == ["n4", 0]


def test_reroutes_are_seen_through() -> None:
    document = between(node(5, "Reroute", inputs=[slot("", "*", 10)], outputs=[out("MODEL")]))
    assert converted(document).prompt == converted(small()).prompt


def test_a_chain_of_reroutes_of_any_length() -> None:
    count = 20_000
    chain = [node(100 + i, "Reroute", inputs=[slot("", "*", 100 + i)]) for i in range(count)]
    links = [(100 + i, 99 + i if i else 4, 0, 100 + i, 0) for i in range(count)]
    document = small()
    document["nodes"] += chain
    document["links"] = [[*link, "*"] for link in links] + [
        [1, 99 + count, 0, 3, 0, "*"],
        [2, 3, 0, 9, 0, "*"],
    ]
    assert inputs_of(document, "3")["model"] == ["4", 0]


def test_reroutes_in_a_circle_are_told_of() -> None:
    document = between(node(5, "Reroute", inputs=[slot("", "*", 11)]))
    document["links"].append([11, 5, 0, 5, 0, "*"])
    result = converted(document)
    assert "model" not in result.prompt["3"]["inputs"]
    assert "circle" in result.warnings[0]


def test_a_primitive_gives_its_value() -> None:
    document = small()
    document["nodes"].append(node(5, "PrimitiveNode", [33, "fixed"], outputs=[out("INT")]))
    document["nodes"][1]["inputs"].append(slot("steps", "INT", 3, widget=True))
    document["links"].append([3, 5, 0, 3, 1, "INT"])
    result = converted(document)
    assert result.prompt["3"]["inputs"] == {"seed": 7, "steps": 33, "sampler": "ddim", "model": ["4", 0]}
    assert "5" not in result.prompt


def test_a_linked_field_keeps_its_place_among_the_values() -> None:
    document = small()
    document["nodes"][1]["inputs"].append(slot("seed", "INT", 3, widget=True))
    document["nodes"].append(node(6, "Other", outputs=[out("INT")], inputs=[slot("x")]))
    document["links"].append([3, 6, 0, 3, 1, "INT"])
    assert inputs_of(document, "3") == {"seed": ["6", 0], "steps": 25, "sampler": "ddim", "model": ["4", 0]}


@pytest.mark.parametrize("kind", ["Note", "MarkdownNote", "Label (rgthree)"])
def test_notes_are_left_out(kind: str) -> None:
    document = small()
    document["nodes"].append(node(5, kind, ["read me"]))
    assert "5" not in converted(document).prompt


def test_a_pack_may_have_a_class_of_that_name() -> None:
    document = small()
    document["nodes"].append(node(5, "Note", ["a.safetensors"]))
    interfaces = {**INTERFACES, "Note": INTERFACES["Load"]}
    assert convert(document, interfaces, "flow.json", NOW).prompt["5"]["inputs"] == {"name": "a.safetensors"}


def test_what_is_set_under_a_name_is_got_under_it() -> None:
    setter = node(5, "SetNode", ["model"], inputs=[slot("MODEL", "MODEL", 10)])
    getter = node(6, "GetNode", ["model"], outputs=[out("MODEL")])
    document = between(setter, getter)
    document["links"][1][1] = 6
    assert converted(document).prompt == converted(small()).prompt


# Muted and bypassed


def test_a_muted_node_and_what_needs_it_is_left_out() -> None:
    document = small()
    document["nodes"][1]["mode"] = 2
    result = converted(document)
    assert list(result.prompt) == ["4"]
    assert "9 (Save)" in result.warnings[0]


def test_an_optional_input_is_only_unlinked() -> None:
    document = small()
    document["nodes"].append(node(6, "Text", ["hi"], mode=2, outputs=[out("CONDITIONING")]))
    document["nodes"][1]["inputs"].append(slot("positive", "CONDITIONING", 3))
    document["links"].append([3, 6, 0, 3, 1, "CONDITIONING"])
    result = converted(document)
    assert "positive" not in result.prompt["3"]["inputs"]
    assert list(result.prompt) == ["3", "4", "9"]


def test_a_bypassed_node_passes_its_input_of_the_type_on() -> None:
    patch = node(
        5,
        "Patch",
        [1.0],
        mode=4,
        inputs=[slot("clip", "CLIP"), slot("model", "MODEL", 10)],
        outputs=[out("MODEL")],
    )
    assert converted(between(patch)).prompt == converted(small()).prompt


def test_a_bypassed_node_prefers_the_input_of_the_same_place() -> None:
    sides = [slot("first", "MODEL", 11), slot("second", "MODEL", 10)]
    document = between(node(5, "Merge", mode=4, inputs=sides, outputs=[out("X"), out("MODEL")]))
    document["links"][1][2] = 1
    document["links"].append([11, 9, 0, 5, 0, "*"])
    assert inputs_of(document, "3")["model"] == ["4", 0]


def test_a_bypassed_node_without_such_an_input_passes_nothing_on() -> None:
    document = between(node(5, "Make", mode=4, inputs=[slot("x", "IMAGE", 10)], outputs=[out("MODEL")]))
    result = converted(document)
    assert "model" not in result.prompt["3"]["inputs"]
    assert "bypassed" in result.warnings[0]


# What is not known, or wrong


def test_a_class_without_an_interface_is_a_problem() -> None:
    document = small()
    document["nodes"] += [node(5, "Strange", [1, 2]), node(6, "Strange", [3])]
    result = converted(document)
    (problem,) = result.problems
    assert (problem.node, problem.class_type) == ("5", "Strange")
    assert "3 values" in str(problem)
    assert "--object-info" in (problem.hint or "")
    assert result.prompt["5"]["inputs"] == {}


def test_a_file_that_names_the_values_itself_is_enough() -> None:
    document = small()
    listed = [slot("a", widget=True), slot("x"), slot("seed", widget=True), slot("b", widget=True)]
    document["nodes"] += [
        node(5, "Strange", [1, 2, "fixed", "image"], inputs=listed),
        node(6, "Strange", [1, 2], widgets_values_named={"a": 1, "control_after_generate": "fixed"}),
        node(7, "Strange", {"a": 1}),
    ]
    result = converted(document)
    assert result.problems == ()
    assert result.prompt["5"]["inputs"] == {"a": 1, "seed": 2, "b": "image"}
    assert result.prompt["6"]["inputs"] == result.prompt["7"]["inputs"] == {"a": 1}
    assert "Strange" in result.warnings[0]


def test_an_instance_of_a_subgraph_that_is_not_there() -> None:
    document = small()
    document["nodes"].append(node(5, "b7c2d337-c38d-4c04-922b-2d638449d13e", [1]))
    (problem,) = converted(document).problems
    assert "the subgraph it stands for is not in the file" in str(problem)


def test_a_link_to_nothing_is_told_of() -> None:
    document = small()
    document["links"][0][1] = 77
    result = converted(document)
    assert "node 3 (Sample), input 'model'" in result.warnings[0]
    assert "model" not in result.prompt["3"]["inputs"]


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ({"nodes": [{"type": "Load"}]}, "without an id"),
        ({"nodes": [{"id": 3}]}, "without a type"),
        ({"nodes": [7]}, "not an object"),
        ({"nodes": [{"id": 3, "type": "A"}, {"id": "3", "type": "A"}]}, "two nodes have the id 3"),
    ],
)
def test_damaged_files(broken: dict[str, Any], said: str) -> None:
    with pytest.raises(WorkflowError, match=said):
        converted({"links": [], **broken})


def test_a_list_is_wrapped_even_if_it_looks_like_a_link() -> None:
    document = drawn([node(1, "Numbers", [["4", 0], False])])
    assert inputs_of(document, "1") == {"values": {"__value__": ["4", 0]}, "on": False}


# Texts


def test_names_of_files_are_filled_in() -> None:
    document = small()
    document["nodes"][2]["widgets_values"] = [
        "%date:yyyy-MM-dd%/%Mine.steps%_%Load Checkpoint.name%_%no.x%_%width%"
    ]
    document["nodes"][1]["properties"] = {"Node name for S&R": "Mine"}
    assert inputs_of(document, "9")["filename_prefix"] == "2025-03-07/25_a.safetensors_%no.x%_%width%"


def test_a_value_from_a_primitive_is_filled_in() -> None:
    document = small()
    document["nodes"][2]["widgets_values"] = ["%Sampler.steps%"]
    document["nodes"].append(node(5, "PrimitiveNode", [33, "fixed"]))
    document["nodes"][1]["inputs"].append(slot("steps", "INT", 3, widget=True))
    document["links"].append([3, 5, 0, 3, 1, "INT"])
    assert inputs_of(document, "9")["filename_prefix"] == "33"


def test_choices_in_prompts_are_made_the_same_every_time() -> None:
    document = drawn([node(1, "Text", ["a {red|green|blue} fox // not this"])])
    texts = {inputs_of(document, "1")["text"] for _ in range(5)}
    assert len(texts) == 1
    assert texts.pop() in {f"a {colour} fox " for colour in ("red", "green", "blue")}
