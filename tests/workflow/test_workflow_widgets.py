from __future__ import annotations

from typing import Any

from ui_files import INTERFACES, SEED, described, node

from comfykit.workflow.document import parse_node
from comfykit.workflow.interface import ClassInterface, from_object_info
from comfykit.workflow.widgets import name_values


def named(
    values: Any, interface: ClassInterface | None = INTERFACES["Sample"], **fields: Any
) -> dict[str, Any]:
    return name_values(parse_node(node(1, "Sample", values, **fields), "flow.json"), interface).values


def made(required: dict[str, Any], optional: dict[str, Any] | None = None) -> ClassInterface:
    return from_object_info({"X": described(required, optional)})["X"]


def test_what_becomes_of_a_seed_is_no_value() -> None:
    assert named([7, "randomize", 25, "ddim"]) == {"seed": 7, "steps": 25, "sampler": "ddim"}


def test_front_ends_of_early_2023_had_a_yes_or_no_there() -> None:
    assert named([7, True, 25, "ddim"]) == {"seed": 7, "steps": 25, "sampler": "ddim"}


def test_it_may_be_missing() -> None:
    assert named([7, 25, "ddim"]) == {"seed": 7, "steps": 25, "sampler": "ddim"}


def test_a_yes_or_no_that_is_a_field_of_its_own_stays() -> None:
    interface = made({"seed": SEED, "on": ["BOOLEAN"]})
    assert named([7, True], interface) == {"seed": 7, "on": True}
    assert named([7, "fixed", False], interface) == {"seed": 7, "on": False}


def test_every_whole_number_called_seed_has_a_control() -> None:
    assert named([1, "fixed", 2], made({"noise_seed": ["INT"], "b": ["INT"]})) == {"noise_seed": 1, "b": 2}


def test_fields_that_the_file_does_not_know_have_their_defaults() -> None:
    assert named([7]) == {"seed": 7, "steps": 20, "sampler": "euler"}
    assert named(None) == {"seed": 0, "steps": 20, "sampler": "euler"}


def test_fields_that_are_gone_are_left_out() -> None:
    assert named([7, "fixed", 25, "ddim", "more", 1]) == {"seed": 7, "steps": 25, "sampler": "ddim"}


def test_values_by_name() -> None:
    expected = {"seed": 9, "steps": 20, "sampler": "ddim"}
    assert named({"sampler": "ddim", "seed": 9, "preview": {}}) == expected
    assert named([], widgets_values_named={"sampler": "ddim", "seed": 9, "upload": "image"}) == expected


def test_names_go_before_the_order() -> None:
    assert named([1, 2, "ddim"], widgets_values_named={"steps": 1, "seed": 2})["steps"] == 1


def test_optional_fields_follow_the_required_ones() -> None:
    interface = made(
        {"a": ["INT"], "image": ["IMAGE"]}, {"b": ["STRING", {"default": "x"}], "mask": ["MASK"]}
    )
    assert named([1, "y"], interface) == {"a": 1, "b": "y"}


def test_an_input_that_is_forced_to_be_a_socket_has_no_field() -> None:
    assert named([1], made({"steps": ["INT", {"forceInput": True}], "b": ["INT"]})) == {"b": 1}


def test_buttons_for_uploads_are_no_values() -> None:
    assert named(["x.png", "image"], INTERFACES["Photo"]) == {"image": "x.png"}
    interface = made({"model_file": [[], {"file_upload": True}], "image": ["LOAD_3D", {}], "width": ["INT"]})
    values = ["a.glb", "upload3dmodel", "uploadExtraResources", "clear", "", 512]
    assert named(values, interface) == {"model_file": "a.glb", "image": "", "width": 512}


def test_a_choice_may_bring_fields_of_its_own() -> None:
    options = [
        {"key": "size", "inputs": {"required": {"width": ["INT", {}], "height": ["INT", {}]}}},
        {"key": "scale", "inputs": {"required": {"by": ["FLOAT", {"default": 2.0}]}}},
    ]
    interface = made({"kind": ["COMFY_DYNAMICCOMBO_V3", {"options": options}], "crop": [["no", "yes"]]})
    assert named(["size", 64, 32, "yes"], interface) == {
        "kind": "size",
        "kind.width": 64,
        "kind.height": 32,
        "crop": "yes",
    }
    assert named(["scale", 4.0], interface) == {"kind": "scale", "kind.by": 4.0, "crop": "no"}
    assert named([], interface, widgets_values_named={"kind.by": 3.0})["kind.by"] == 3.0


def test_without_an_interface_and_without_names_there_is_no_telling() -> None:
    fields = name_values(parse_node(node(1, "X", [1, "fixed", 2]), "flow.json"), None)
    assert (fields.values, fields.unnamed) == ({}, 2)
