from __future__ import annotations

import json
from pathlib import Path

import pytest
from ui_files import INTERFACES, described

from comfykit.errors import UsageError
from comfykit.workflow.interface import from_object_info, read_object_info


def test_the_order_of_a_file_whose_keys_were_sorted() -> None:
    entry = described({"b": ["INT"], "a": ["INT"]}, input_order={"required": ["b", "a"]})
    entry["input"]["required"] = dict(sorted(entry["input"]["required"].items()))
    assert [field.name for field in from_object_info({"X": entry})["X"].inputs] == ["b", "a"]


def test_the_first_choice_is_the_default() -> None:
    old, new = [["x", "y"], {}], ["COMBO", {"options": ["x", "y"]}]
    for spec in (old, new):
        (field,) = from_object_info({"X": described({"a": spec})})["X"].inputs
        assert (field.type, field.widget, field.default) == ("COMBO", True, "x")


def test_titles_are_display_names() -> None:
    assert INTERFACES["Load"].title == "Load Checkpoint"
    assert INTERFACES["Patch"].title == "Patch"


def test_odd_entries_are_no_inputs_with_fields() -> None:
    found = from_object_info({"X": described({"a": [], "b": "INT", "c": [7], "d": [None, 3]})})["X"]
    assert [field.widget for field in found.inputs] == [False] * 4


def test_the_reference_has_them_all(shared: Path) -> None:
    found = read_object_info(shared / "reference" / "object_info.json")
    assert len(found) > 300
    sampler = [field.name for field in found["KSampler"].inputs if field.widget]
    assert sampler == ["seed", "steps", "cfg", "sampler_name", "scheduler", "denoise"]


@pytest.mark.parametrize(
    "content", ["", "[]", "{", '{"KSampler": 3}', '{"3": {"class_type": "A", "inputs": {}}}']
)
def test_files_that_are_something_else(tmp_path: Path, content: str) -> None:
    path = tmp_path / "info.json"
    path.write_text(content)
    with pytest.raises(UsageError, match=r"info\.json") as caught:
        read_object_info(path)
    assert "/object_info" in (caught.value.hint or "")


def test_no_file_at_all(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file"):
        read_object_info(tmp_path / "none.json")


def test_it_survives_json() -> None:
    entry = json.loads(json.dumps(described({"a": ["INT", {"default": 1}]})))
    assert from_object_info({"X": entry})["X"].inputs[0].default == 1
