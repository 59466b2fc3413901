"""docs/gallery.md has every workflow, and tools/gallery.py makes its pictures."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import comfykit
import demo_stand_ins
from shipped_workflows import FORMS, PICTURES, WORKFLOWS, load_tool, read_json

PAGE = Path(__file__).parents[1] / "docs" / "gallery.md"


def entries() -> dict[str, str]:
    """Text of each entry by the name of the workflow that its heading leads to."""
    page = PAGE.read_text(encoding="utf-8")
    parts = re.split(r"^## .*$", page, flags=re.MULTILINE)[1:]
    return {re.findall(r"\(\.\./workflows/([\w-]+)\.json\)", part)[0]: part for part in parts}


def test_every_workflow_has_an_entry_and_every_entry_a_workflow() -> None:
    assert set(entries()) == set(PICTURES)


@pytest.mark.parametrize("name", PICTURES)
def test_an_entry_has_picture_forms_and_command(name: str) -> None:
    text = entries()[name]
    assert f"![{name}](images/gallery/{name}.png)" in text
    assert f"../workflows/{name}.api.json" in text
    commands = re.findall(r"^comfykit run workflows/(\S+)(.*)$", text, re.MULTILINE)
    assert {file for file, _ in commands} == {f"{name}.json"}
    loads = any(node["class_type"] == "LoadImage" for node in read_json(f"{name}.api.json").values())
    assert all(("--input-dir workflows/input" in options) is loads for _, options in commands)


def test_assignments_of_the_page_fit_the_workflows() -> None:
    found = 0
    for name, text in entries().items():
        workflow = comfykit.Workflow.load(WORKFLOWS / f"{name}.api.json")
        for place in re.findall(r"--set \"?([^=\"]+)=", text):
            workflow.set({place: "1"})  # raises for a node or an input that is not there
            found += 1
    assert found >= len(PICTURES)


def test_the_tool_makes_one_picture_of_each(tmp_path: Path) -> None:
    demo_stand_ins.write_missing(tmp_path)
    tool = load_tool("gallery")
    assert {f"{name}{suffix}" for name in tool.names() for suffix in (".json", ".api.json")} == set(FORMS)
    made = list(tool.pictures(["text-to-image", "batch-contact-sheet"], tmp_path, steps=2))
    assert [(name, picture.size) for name, picture in made] == [
        (name, PICTURES[name][-1]) for name in ("text-to-image", "batch-contact-sheet")
    ]
    ((_, again),) = tool.pictures(["text-to-image"], tmp_path, steps=2)
    assert again.tobytes() == made[0][1].tobytes()
