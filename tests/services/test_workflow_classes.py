"""The classes of a workflow that nobody has."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from comfykit.doctor.facts import Needs
from comfykit.nodes.builtin import builtin_registry
from comfykit.services.workflow_classes import builtin_names
from comfykit.services.workflow_needs import needs_of
from comfykit.settings import resolve


def needs(home: Path, document: Any) -> Needs:
    (home / "w.json").write_text(json.dumps(document))
    return needs_of(str(home / "w.json"), resolve({"home": home}, environment={}, cwd=home))


def api(*names: str) -> dict[str, Any]:
    return {str(at): {"class_type": name, "inputs": {}} for at, name in enumerate(names)}


def ui(*nodes: dict[str, Any], **more: Any) -> dict[str, Any]:
    out = {"outputs": [{"name": "out", "type": "IMAGE", "links": []}], "widgets_values": [1]}
    whole = [{"id": at, "inputs": [], "mode": 0, **out, **node} for at, node in enumerate(nodes, 1)]
    return {
        "version": 0.4,
        "nodes": whole,
        "links": [],
        "last_node_id": len(nodes),
        "last_link_id": 0,
        **more,
    }


def test_the_names_in_the_sources_are_those_of_the_registry() -> None:
    assert builtin_names() == {entry.name for entry in builtin_registry()}


def test_those_of_a_known_pack_are_named_with_it(tmp_path: Path) -> None:
    found = needs(tmp_path, api("KSampler", "FaceDetailer", "Nobody has this"))
    assert found.classes == {"FaceDetailer": "ltdrdata/ComfyUI-Impact-Pack", "Nobody has this": ""}


@pytest.mark.parametrize("mode", [2, 4])
def test_a_workflow_of_the_front_end(tmp_path: Path, mode: int) -> None:
    subgraph = {"id": "a-b-c", "nodes": [{"id": 1, "type": "Inside", "mode": 0}]}
    document = ui(
        {"type": "SaveImage"},
        {"type": "Note"},
        {"type": "Gone"},
        {"type": "Muted", "mode": mode},
        {"type": "a-b-c"},
        {"type": "workflow>group"},
        definitions={"subgraphs": [subgraph]},
    )
    assert set(needs(tmp_path, document).classes) == {"Gone", "Inside"}


def test_what_an_installed_pack_offers_is_there(tmp_path: Path) -> None:
    pack = tmp_path / "custom_nodes" / "Pack"
    pack.mkdir(parents=True)
    (pack / "__init__.py").write_text("class A: pass\nNODE_CLASS_MAPPINGS = {'Offered': A}\n")
    assert set(needs(tmp_path, api("Offered", "Other")).classes) == {"Other"}


def test_a_pack_that_computes_its_names_may_have_the_others(tmp_path: Path) -> None:
    pack = tmp_path / "custom_nodes" / "Pack"
    pack.mkdir(parents=True)
    (pack / "__init__.py").write_text("NODE_CLASS_MAPPINGS = {f'Name {at}': object for at in range(3)}\n")
    assert needs(tmp_path, api("Name 1")).classes == {}
