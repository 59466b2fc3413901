"""Fifty workflows that ComfyUI's front end saved in both forms."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

from comfykit.workflow.interface import Interfaces, read_object_info
from comfykit.workflow.read import read_workflow


@pytest.fixture(scope="module")
def judge(shared: Path) -> ModuleType:
    """The script that compares a conversion with what the front end made."""
    spec = importlib.util.spec_from_file_location("compare", shared / "pairs" / "compare.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def interfaces(shared: Path) -> Interfaces:
    return read_object_info(shared / "reference" / "object_info.json")


def test_all_agree(shared: Path, judge: ModuleType, interfaces: Interfaces) -> None:
    reference = json.loads((shared / "reference" / "object_info.json").read_text(encoding="utf-8"))
    found = {}
    places = sorted((shared / "pairs").glob("*/ui.json"))
    assert len(places) >= 50
    for place in places:
        workflow = read_workflow(place, lambda: interfaces)
        assert workflow.problems == ()
        expected = json.loads(place.with_name("api.json").read_text(encoding="utf-8"))
        found[place.parent.name] = list(judge.differences(expected, workflow.prompt, reference))
    assert {name: said for name, said in found.items() if said} == {}


def test_titles_and_order_are_the_front_ends(shared: Path, interfaces: Interfaces) -> None:
    """Nodes come in the same order, and those that were given a title have it."""
    compared = 0
    for place in sorted((shared / "pairs").glob("*/ui.json")):
        workflow = read_workflow(place, lambda: interfaces)
        prompt = workflow.prompt
        given = {str(node["id"]) for node in workflow.extra_pnginfo["workflow"]["nodes"] if "title" in node}
        expected = json.loads(place.with_name("api.json").read_text(encoding="utf-8"))
        plain = [key for key in expected if key in prompt and key.isdigit()]
        assert [key for key in prompt if key in plain] == plain
        for key in plain:
            title = expected[key].get("_meta", {}).get("title")
            if title is not None and key in given:
                assert prompt[key]["_meta"]["title"] == title
                compared += 1
    assert compared >= 10
