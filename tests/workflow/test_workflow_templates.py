"""The templates that ComfyUI ships, hundreds of files of many front ends."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from comfykit.engine.graph import is_link
from comfykit.workflow.convert import convert
from comfykit.workflow.document import is_ui_form
from comfykit.workflow.interface import Interfaces, read_object_info


def templates() -> Iterator[tuple[str, dict[str, Any]]]:
    spec = importlib.util.find_spec("comfyui_workflow_templates_json")
    if spec is None or spec.origin is None:
        pytest.skip("comfyui-workflow-templates-json is not installed (it comes with the extra `test`)")
    for path in sorted((Path(spec.origin).parent / "templates").glob("*.json")):
        document = json.loads(path.read_text(encoding="utf-8"))
        if is_ui_form(document):
            yield path.name, document


@pytest.fixture(scope="module")
def interfaces(shared: Path) -> Interfaces:
    return read_object_info(shared / "reference" / "object_info.json")


def test_all_convert(interfaces: Interfaces) -> None:
    count = 0
    for name, document in templates():
        count += 1
        result = convert(document, interfaces, name)
        assert result.prompt, name
        for key, entry in result.prompt.items():
            for value in filter(is_link, entry["inputs"].values()):
                assert value[0] in result.prompt, (name, key, value)
        unknown = {entry["class_type"] for entry in result.prompt.values()} - interfaces.keys()
        assert {problem.class_type for problem in result.problems} <= unknown, name
    assert count > 500


def test_values_fit_the_inputs_they_were_given_to(interfaces: Interfaces) -> None:
    """A slip by one place would put texts where numbers belong."""
    kinds = {"INT": int, "FLOAT": int | float, "STRING": str, "BOOLEAN": bool, "COMBO": str}
    wrong = []
    checked = 0
    for name, document in templates():
        for key, entry in convert(document, interfaces, name).prompt.items():
            interface = interfaces.get(entry["class_type"])
            for field in interface.inputs if interface else ():
                value = entry["inputs"].get(field.name)
                if value is not None and not is_link(value) and field.type in kinds:
                    checked += 1
                    if not isinstance(value, kinds[field.type]):
                        wrong.append((name, key, entry["class_type"], field.name, value))
    assert checked > 5000
    assert wrong == []


def test_without_any_interface_every_class_that_lost_values_is_named() -> None:
    for name, document in templates():
        result = convert(document, {}, name)
        assert all(problem.hint for problem in result.problems)
