from __future__ import annotations

from pathlib import Path

import pytest

from comfykit.packs.scan import scan


def read(tmp_path: Path, source: str, **files: str) -> tuple[set[str], bool]:
    for name, text in {"__init__": source, **files}.items():
        (tmp_path / f"{name}.py").write_text(text, encoding="utf-8")
    found = scan(tmp_path)
    return set(found.classes), found.complete


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ('NODE_CLASS_MAPPINGS = {"A": A, "B b": B}', {"A", "B b"}),
        ('NODE_CLASS_MAPPINGS: dict = {"A": A}', {"A"}),
        ('NODE_CLASS_MAPPINGS = {}\nNODE_CLASS_MAPPINGS["A"] = A', {"A"}),
        ('NODE_CLASS_MAPPINGS = {}\nNODE_CLASS_MAPPINGS.update({"A": A})', {"A"}),
        (
            'X_NODE_CLASS_MAPPINGS = {"A": A}\nNODE_CLASS_MAPPINGS = {**X_NODE_CLASS_MAPPINGS, "B": B}',
            {"A", "B"},
        ),
        ('NODE_CLASS_MAPPINGS = {"A": A} | {"B": B}', {"A", "B"}),
        ('NAME = "A"\nNODE_CLASS_MAPPINGS = {NAME: A}', {"A"}),
        ('class A(io.ComfyNode):\n  def define_schema(cls):\n    return io.Schema(node_id="A")', {"A"}),
    ],
)
def test_names_that_are_written_out_are_found(tmp_path: Path, source: str, names: set[str]) -> None:
    assert read(tmp_path, source) == (names, True)


def test_names_of_other_files_are_found(tmp_path: Path) -> None:
    source = "from .more import NODE_CLASS_MAPPINGS as more\nNODE_CLASS_MAPPINGS = {**more}"
    assert read(tmp_path, source, more='NODE_CLASS_MAPPINGS = {"A": A}') == ({"A"}, True)


@pytest.mark.parametrize(
    "source",
    [
        "NODE_CLASS_MAPPINGS = {kind.NAME: kind for kind in kinds}",
        'NODE_CLASS_MAPPINGS = {"A": A, f"{prefix}B": B}',
        "NODE_CLASS_MAPPINGS = collect()",
        "from elsewhere import NODE_CLASS_MAPPINGS",
    ],
)
def test_names_that_are_computed_make_it_incomplete(tmp_path: Path, source: str) -> None:
    assert not read(tmp_path, source)[1]


def test_files_that_are_no_python_are_named(tmp_path: Path) -> None:
    (tmp_path / "__init__.py").write_text('NODE_CLASS_MAPPINGS = {"A": A}')
    (tmp_path / "new.py").write_text("def f(:\n")
    (tmp_path / "bytes.py").write_bytes(b"\xff\xfe\0")
    found = scan(tmp_path)
    assert (found.classes, found.complete, found.broken) == (("A",), False, ("bytes.py", "new.py"))


def test_tests_and_examples_are_no_part_of_a_pack(tmp_path: Path) -> None:
    (tmp_path / "__init__.py").write_text("")
    for folder in ("tests", "example", ".git", "node_modules"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "nodes.py").write_text('NODE_CLASS_MAPPINGS = {"A": A}')
    assert scan(tmp_path).classes == ()


def test_a_single_file_is_a_pack(tmp_path: Path) -> None:
    file = tmp_path / "single.py"
    file.write_text('NODE_CLASS_MAPPINGS = {"A": A}')
    assert scan(file).classes == ("A",)


def test_what_is_used_of_comfyui_is_named(tmp_path: Path) -> None:
    source = """
import torch
import folder_paths as paths
import comfy.utils
from comfy.samplers import KSampler as K
from .nodes import Mine
paths.get_input_directory()
comfy.utils.ProgressBar(3).update(1)
K.SAMPLERS
nodes = Mine()
"""
    read(tmp_path, source)
    assert scan(tmp_path).host == (
        "comfy",
        "comfy.samplers.KSampler",
        "comfy.samplers.KSampler.SAMPLERS",
        "comfy.utils",
        "comfy.utils.ProgressBar",
        "folder_paths",
        "folder_paths.get_input_directory",
    )
