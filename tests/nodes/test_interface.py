"""Every built-in node class has the interface that ComfyUI 0.3.64 tells its front end."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from comfykit.engine.schema import COMBO, Input, Listing, NodeClass
from comfykit.nodes.builtin import OF_PACKS, builtin_registry

NUMBER_STEPS = {"INT": 1, "FLOAT": 0.01}  # what a front end takes where a class says nothing
OURS = {"CONTEXT"}  # hidden inputs that only this engine fills in

# Inputs that offer fewer choices than ComfyUI so far, in its order; take a line out when they are all there.
SHORTER = {}

# Names that came to ComfyUI after the interface file was made; their interface is that of its documentation.
NEWER = {
    "AdjustBrightness",
    "AdjustContrast",
    "BatchImagesNode",
    "BatchLatentsNode",
    "BatchMasksNode",
    "ColorToRGBInt",
    "ComfyMathExpression",
    "ComfyNumberConvert",
    "ComfySwitchNode",
    "ConvertArrayToString",
    "ConvertDictionaryToString",
    "CreateList",
    "CustomCombo",
    "GetItemFromList",
    "ImageCompare",
    "ImageCropV2",
    "ImageGrid",
    "JsonExtractString",
    "LatentCutToBatch",
    "ManualSigmas",
    "ResizeImageMaskNode",
    "ResizeImagesByLongerEdge",
    "ResolutionSelector",
    "SaveImageAdvanced",
    "SaveText",
    "SeedNode",
    "StringFormat",
}

CLASSES = sorted(
    (entry for entry in builtin_registry() if entry.name not in NEWER | OF_PACKS.keys()),
    key=lambda entry: entry.name,
)


@cache
def documented(place: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((place / "reference/object_info.json").read_text(encoding="utf-8"))
    return found


@pytest.fixture(params=CLASSES, ids=lambda entry: entry.name)
def entry(request: pytest.FixtureRequest) -> NodeClass:
    assert isinstance(request.param, NodeClass)
    return request.param


@pytest.fixture
def expected(entry: NodeClass, shared: Path) -> dict[str, Any]:
    info = documented(shared)
    assert entry.name in info
    found: dict[str, Any] = info[entry.name]
    return found


def test_there_are_classes() -> None:
    assert {"LoadImage", "EmptyLatentImage", "SaveImage"} <= {entry.name for entry in CLASSES}


def test_newer_names(shared: Path) -> None:
    other = NEWER | OF_PACKS.keys()
    assert not other & set(documented(shared))
    assert all(entry.description and entry.title for entry in builtin_registry() if entry.name in other)
    assert all(pack in builtin_registry()[name].description for name, pack in OF_PACKS.items())


def test_head(entry: NodeClass, expected: dict[str, Any]) -> None:
    assert entry.title == (expected["display_name"] or entry.name)  # which a front end falls back to
    assert entry.category == expected["category"]
    assert entry.output_node == expected["output_node"]
    assert entry.description


def test_outputs(entry: NodeClass, expected: dict[str, Any]) -> None:
    assert [slot.type for slot in entry.outputs] == expected["output"]
    assert [slot.name for slot in entry.outputs] == expected["output_name"]
    assert [slot.is_list for slot in entry.outputs] == expected["output_is_list"]


def test_hidden(entry: NodeClass, expected: dict[str, Any]) -> None:
    hidden = {name: what for name, what in entry.hidden.items() if what not in OURS}
    documented_ones = expected["input"].get("hidden", {}).items()
    assert hidden == {name: what if isinstance(what, str) else what[0] for name, what in documented_ones}


def test_order(entry: NodeClass, expected: dict[str, Any]) -> None:
    for part, required in (("required", True), ("optional", False)):
        names = [name for name, spec in entry.inputs.items() if spec.required is required]
        assert names == expected["input_order"].get(part, [])


def test_inputs(entry: NodeClass, expected: dict[str, Any]) -> None:
    groups = expected["input"]
    described = {**groups.get("required", {}), **groups.get("optional", {})}
    wanted = {name: normalised(*of) for name, of in described.items()}
    found = {name: described_input(spec) for name, spec in entry.inputs.items()}
    for name, said in wanted.items():
        if (entry.name, name) in SHORTER:
            ours, all_of_them = found[name].pop("choices"), said.pop("choices")
            assert ours == [choice for choice in all_of_them if choice in ours]
            assert len(ours) < len(all_of_them)
    assert found == wanted


def described_input(spec: Input) -> dict[str, Any]:
    choices = spec.choices
    listed = (
        list(choices.also) if isinstance(choices, Listing) else None if choices is None else list(choices)
    )
    return {
        "type": spec.type,
        "choices": listed,
        "default": spec.default,
        "min": spec.minimum,
        "max": spec.maximum,
        "step": spec.step,
        **{key: value for key, value in spec.options.items() if key != "multiselect" or value},
    }


def normalised(kind: Any, options: dict[str, Any] | None = None) -> dict[str, Any]:
    """An entry of the file in the same words; widgets have defaults of their own."""
    choices = kind if isinstance(kind, list) else (options or {}).get("options")
    name = COMBO if isinstance(kind, list) else kind
    said = {"type": name, "choices": choices, "default": None, "min": None, "max": None, "step": None}
    if name == "STRING":
        said |= {"default": "", "multiline": False}
    said |= {key: value for key, value in (options or {}).items() if key != "options"}
    if not said.get("multiselect"):
        said.pop("multiselect", None)  # what a combo is where nothing is said
    if name in NUMBER_STEPS and said["step"] is None:
        said["step"] = NUMBER_STEPS[name]
    return said
