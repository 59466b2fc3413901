from __future__ import annotations

import sys
from pathlib import Path

import pytest
from compat_packs import ONE, PackHome

from comfykit.compat.registry import PackRegistry
from comfykit.errors import InvalidWorkflow
from comfykit.events import PackStep, Warned
from comfykit.packs.index import class_index
from comfykit.packs.known import known_pack
from comfykit.packs.probing import Probe, probe_pack
from comfykit.services.nodes import classes_of_packs
from comfykit.services.workflows import NodeClasses


def two(name: str, value: int) -> str:
    """A pack with a class of a name, and one that shows."""
    return f"""
class Value:
    @classmethod
    def INPUT_TYPES(cls):
        return {{"required": {{}}}}
    RETURN_TYPES = ("INT",)
    FUNCTION = "value"
    OUTPUT_NODE = True
    def value(self):
        return {{"ui": {{"text": ["{value}"]}}, "result": ({value},)}}
NODE_CLASS_MAPPINGS = {{"{name}": Value}}
"""


def imported(home: PackHome) -> set[str]:
    prefix = str(home.root / "custom_nodes")
    return {name.removeprefix(prefix)[1:] for name in sys.modules if name.startswith(prefix)}


def test_only_the_packs_that_a_workflow_needs_are_imported(home: PackHome) -> None:
    home.pack("A", two("Of A", 1))
    home.pack("B", two("Of B", 2))
    home.pack("Broken", "raise RuntimeError\nNODE_CLASS_MAPPINGS = {'X': 1}")
    runner = home.runner()
    assert home.run({"1": {"class_type": "Of B", "inputs": {}}}, runner).succeeded
    assert imported(home) == {"B"}
    built_in = {
        "1": {"class_type": "EmptyImage", "inputs": {"width": 8, "height": 8, "batch_size": 1, "color": 0}}
    }
    built_in["2"] = {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}}
    assert home.run(built_in, runner).succeeded
    assert imported(home) == {"B"}
    assert home.events == [event for event in home.events if not isinstance(event, Warned)]


def test_a_workflow_of_built_in_classes_does_not_even_read_packs(
    home: PackHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.pack("A", two("Of A", 1))
    home.registry().prepare(["EmptyImage", "SaveImage"])
    assert not (home.root / "user").exists()


def test_of_two_packs_with_one_class_the_later_counts(home: PackHome) -> None:
    home.pack("A", two("Same", 1))
    home.pack("B", two("Same", 2))
    home.pack("C", two("SaveImage", 3))
    assert home.values({"1": {"class_type": "Same", "inputs": {}}}, "1") == [2]
    assert home.registry()["SaveImage"].module.startswith("comfykit.")


def test_a_pack_goes_before_our_own_version_of_its_class(home: PackHome) -> None:
    home.pack("WAS", two("Image Filter Adjustments", 4))
    registry = home.registry()
    registry.prepare(["Image Filter Adjustments"])
    assert registry["Image Filter Adjustments"].module == "custom_nodes.WAS"


def test_classes_that_are_computed_are_asked_for_once_elsewhere(
    home: PackHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.pack("Computed", ONE + "\nNODE_CLASS_MAPPINGS = {'O' + 'ne': One}")
    home.pack("Hidden", "NODE_CLASS_MAPPINGS = dict(x=1)")
    asked: list[str] = []

    def told(pack: Path, *rest: object, **options: object) -> Probe:
        asked.append(pack.name)
        return Probe(pack.name, ("One",) if pack.name == "Computed" else ())

    monkeypatch.setattr("comfykit.compat.registry.probe_pack", told)
    assert home.registry().get("One") is not None
    assert imported(home) == {"Computed"}
    assert home.registry().get("Nothing has this") is None
    assert home.registry().get("Nor this") is None
    assert len(asked) == 2
    assert home.events == [PackStep(pack, "looking which node classes it has") for pack in asked]
    assert class_index(home.settings.home).unclear() == []


def test_the_pack_that_is_known_for_a_class_is_asked_first(
    home: PackHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def told(pack: Path, *rest: object, **options: object) -> Probe:
        asked.append(pack.name)
        return Probe(pack.name, ("Seed (rgthree)",) if pack.name == "rgthree-comfy" else ())

    monkeypatch.setattr("comfykit.compat.registry.probe_pack", told)
    for name in ("A", "B", "rgthree-comfy"):
        home.pack(name, "NODE_CLASS_MAPPINGS = dict(x=1)")
    home.registry().get("Seed (rgthree)")
    assert asked == ["rgthree-comfy"]


def test_a_workflow_says_which_broken_pack_has_its_class(home: PackHome) -> None:
    home.pack("Broken", "import not_to_be_had\n" + ONE)
    result = home.run({"1": {"class_type": "One", "inputs": {}}})
    assert isinstance(result.error, InvalidWorkflow)
    (problem,) = result.problems
    assert problem.message == (
        "'One' is of the pack Broken, which could not be imported: "
        "the Python package 'not_to_be_had' is missing (__init__.py:1)"
    )
    assert "comfykit packs enable Broken" in (problem.hint or "")
    (warned,) = [event for event in home.events if isinstance(event, Warned)]
    assert warned.message.startswith("the pack Broken was left out: could not be imported")


def test_a_workflow_says_why_a_class_of_a_pack_cannot_be_used(home: PackHome) -> None:
    home.pack("Half", ONE.replace('return {"required": {}}', 'raise OSError("no models here")'))
    (problem,) = home.run({"1": {"class_type": "One", "inputs": {}}}).problems
    assert "'One' is of the pack Half, which cannot offer it: OSError: no models here" in problem.message


@pytest.mark.parametrize(
    ("name", "pack"),
    [
        ("Seed (rgthree)", "rgthree/rgthree-comfy"),
        ("CR Seed", "Suzie1/ComfyUI_Comfyroll_CustomNodes"),
        ("ImageResize+", "cubiq/ComfyUI_essentials"),
        ("KSampler (Efficient)", "jags111/efficiency-nodes-comfyui"),
        ("ShowText|pysssss", "pythongosssss/ComfyUI-Custom-Scripts"),
        ("WD14Tagger|pysssss", "pythongosssss/ComfyUI-WD14-Tagger"),
        ("BNK_Unsampler", "BlenderNeko/ComfyUI_Noise"),
        ("Nobody has this", None),
    ],
)
def test_well_known_packs_are_named(home: PackHome, name: str, pack: str | None) -> None:
    assert known_pack(name) == pack
    (problem,) = home.run({"1": {"class_type": name, "inputs": {}}}).problems
    if pack is not None:
        assert problem.hint == f"to install it: comfykit install-nodes {pack}"
        assert pack in problem.message


def test_values_in_the_ui_form_are_named_by_the_packs_class(home: PackHome) -> None:
    home.pack("A", two("Of A", 1).replace('"required": {}', '"required": {"n": ("INT", {"default": 3})}'))
    interfaces = NodeClasses(settings=home.settings).interfaces()
    assert [given.name for given in interfaces["Of A"].inputs] == ["n"]
    assert "Nobody" not in interfaces
    assert "SaveImage" in interfaces
    assert imported(home) == {"A"}


def test_classes_of_packs_are_listed_without_importing_them(home: PackHome) -> None:
    home.pack("A", two("Of A", 1))
    home.pack("Broken", "raise RuntimeError\n" + ONE)
    listed = classes_of_packs(home.settings.home)
    assert [(pack.pack, pack.names) for pack in listed] == [("A", ("Of A",)), ("Broken", ("One",))]
    assert [pack.names for pack in classes_of_packs(home.settings.home, "of*")] == [("Of A",)]
    assert imported(home) == set()


def test_a_node_that_expands_brings_packs_in(home: PackHome) -> None:
    home.pack("Inner", ONE)
    home.pack(
        "Outer",
        two("Outer", 1).replace(
            'return {"ui": {"text": ["1"]}, "result": (1,)}',
            'return {"result": (["x", 0],), "expand": {"x": {"class_type": "One", "inputs": {}}}}',
        ),
    )
    assert home.values({"1": {"class_type": "Outer", "inputs": {}}}, "1") == [1]
    assert imported(home) == {"Inner", "Outer"}


def test_classes_that_were_added_by_hand_stay(home: PackHome) -> None:
    home.pack("A", two("Mine", 1))
    registry = PackRegistry(home.settings)
    mine = registry["EmptyImage"].__class__(
        name="Mine", bind=registry["EmptyImage"].bind, module="my.program"
    )
    registry.add(mine)
    registry.prepare(["Mine", "Of A"])
    assert registry["Mine"].module == "my.program"


# In a process of its own


def test_a_probe_tells_what_importing_gave(home: PackHome) -> None:
    place = home.pack("Talks", "print('hello')\nimport comfy.utils\nhasattr(comfy.utils, 'gone')\n" + ONE)
    told = probe_pack(place, home.root, thorough=True)
    assert (told.pack, told.classes, told.is_imported) == ("Talks", ("One",), True)
    assert told.missing == ("comfy.utils.gone",)


def test_a_pack_that_hangs_is_given_up(home: PackHome) -> None:
    place = home.pack("Hangs", "import time\ntime.sleep(600)")
    told = probe_pack(place, home.root, seconds=0.2)
    assert told.cause == "importing it took more than 0.2 s"


def test_a_pack_that_ends_the_process_at_once_is_told(home: PackHome) -> None:
    place = home.pack("Ends", "import os\nos._exit(7)")
    told = probe_pack(place, home.root)
    assert told.cause == "importing it ended Python (exit code 7)"
