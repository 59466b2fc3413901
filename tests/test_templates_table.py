"""The generator of docs/templates.md."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from comfykit.nodes.builtin import builtin_registry
from comfykit.services.workflows import interfaces_of

TOOL = Path(__file__).parents[1] / "tools" / "templates_table.py"


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("templates_table", TOOL)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def test_what_becomes_of_templates_is_told(tool: ModuleType) -> None:
    image = {"id": 1, "type": "EmptyImage", "widgets_values": [64, 64, 1, 0], "outputs": [{"type": "IMAGE"}]}
    strange = {"id": 2, "type": "Strange|Kind", "widgets_values": [1, 2]}
    found = {
        "good": {"nodes": [image], "links": []},
        "odd": {"nodes": [image, strange], "links": []},
    }
    registry = builtin_registry()
    good, odd = tool.rows(found, registry, interfaces_of(registry))
    assert (good.nodes, good.problems, good.missing) == (1, (), ())
    assert (odd.nodes, odd.missing) == (2, ("Strange|Kind",))
    assert "2 values" in odd.problems[0]
    page = tool.page([good, odd], "1.2")
    assert "- converted: 2\n- with a name for every value: 1\n- with built-in classes alone: 1\n" in page
    assert "`Strange|Kind` (1)" in page
    assert [line for line in page.splitlines() if line.startswith("| good")] == [
        "| good | 1 | none | none |  |"
    ]


def test_the_page_is_there() -> None:
    page = (TOOL.parents[1] / "docs" / "templates.md").read_text(encoding="utf-8")
    assert page.count("\n| ") > 500
