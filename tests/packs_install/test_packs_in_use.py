"""Packs from their installation to a run, as a script uses them: every command a process of its own."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from comfykit.packs.environment import freeze
from comfykit.packs.tree import tree_hash
from pack_support import Place, commit, make_whole_environment, pack

NODE = """
import thing

class Add:
    RETURN_TYPES, FUNCTION, CATEGORY, OUTPUT_NODE = ("INT",), "add", "numbers", True

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"a": ("INT", {"default": 1, "max": 99})}}

    def add(self, a):
        file = {"filename": f"{a + STEP}.png", "subfolder": "", "type": "output"}
        return {"ui": {"images": [file]}, "result": (a + STEP,)}

NODE_CLASS_MAPPINGS = {"PackAdd": Add}
"""


class Shell:
    """Runs comfykit in an environment of its own, on a home that is named once."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.environment = type(place.environment)(make_whole_environment(place.root / "whole").python)

    def __call__(self, *arguments: str | Path, code: int = 0, home: Path | None = None) -> str:
        done = self.ended(*arguments, home=home)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    def records(self, *arguments: str | Path, home: Path | None = None) -> list[dict[str, Any]]:
        done = self.ended(*arguments, "--json", home=home)
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    def ended(self, *arguments: str | Path, home: Path | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.environment.python, "-m", "comfykit", *arguments, "--home", home or self.place.home],
            cwd=self.place.root,
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )


@pytest.fixture
def comfykit(place: Place) -> Shell:
    return Shell(place)


def test_a_pack_is_installed_listed_run_brought_up_to_date_and_switched_off(comfykit: Shell) -> None:
    place = comfykit.place
    source = pack(place.root / "source" / "Alpha", "thing<2", code="")
    (source / "__init__.py").write_text(f"STEP = 1\n{NODE}")
    commit(source)
    said = comfykit("install-nodes", f"file://{source}")
    for words in (
        "Alpha: fetching",
        "resolving what packs need",
        "fetching and building below 1.0, thing 1.0",
        "installing below 1.0, thing 1.0",
        "Alpha: testing its import",
        "imported   Alpha  1 node class\n",
        "1 pack added, 2 packages changed",
    ):
        assert words in said
    assert comfykit.records("nodes", "list", "packadd") == [{"name": "PackAdd", "pack": "Alpha"}]
    (shown,) = comfykit.records("nodes", "show", "PackAdd")
    assert shown["PackAdd"]["input"]["required"]["a"] == ["INT", {"default": 1, "max": 99}]
    assert shown["PackAdd"]["python_module"] == "custom_nodes.Alpha"

    workflow = place.root / "add.json"
    workflow.write_text(json.dumps({"1": {"class_type": "PackAdd", "inputs": {"a": 41}}}))
    assert outputs(comfykit.records("run", workflow)) == ["42.png"]
    (source / "__init__.py").write_text(f"STEP = 2\n{NODE}")
    commit(source)
    assert "1 pack to replace; nothing was changed" in comfykit("packs", "update", "--dry-run")
    comfykit("packs", "update")
    assert outputs(comfykit.records("run", workflow)) == ["43.png"]
    comfykit("packs", "disable", "alpha")
    assert "PackAdd" in comfykit("run", workflow, code=2)
    assert "1 pack, 1 of them off" in comfykit("packs", "list")
    comfykit("packs", "snapshot", "restore", "2")
    assert outputs(comfykit.records("run", workflow)) == ["42.png"]


def outputs(records: list[dict[str, Any]]) -> list[str]:
    """Names of the files that output nodes said they wrote."""
    return [file["filename"] for record in records if record["event"] == "output" for file in record["files"]]


def test_a_lock_makes_the_same_home_elsewhere(comfykit: Shell) -> None:
    place = comfykit.place
    source = pack(place.root / "source" / "Alpha", "thing<2")
    commit(source)
    comfykit("install-nodes", f"file://{source}")
    copy = place.root / "copy"
    copy.mkdir()
    (copy / "comfykit.lock").write_bytes((place.home / "comfykit.lock").read_bytes())
    packages = freeze(comfykit.environment)
    planned = comfykit.records("sync", "--frozen", "--dry-run", home=copy)
    assert [one["action"] for one in planned if one["event"] == "pack"] == ["add"]
    assert planned[-1]["packs"] == {"add": 1}
    assert not (copy / "custom_nodes").exists()
    comfykit("sync", "--frozen", home=copy)
    assert tree_hash(copy / "custom_nodes") == tree_hash(place.home / "custom_nodes")
    assert freeze(comfykit.environment) == packages
    again = comfykit.records("sync", "--frozen", home=copy)
    assert again == [{"event": "done", "status": "success", "changed": False}]
    (copy / "custom_nodes" / "Alpha" / "more.py").touch()
    comfykit("sync", "--frozen", home=copy)
    assert tree_hash(copy / "custom_nodes") == tree_hash(place.home / "custom_nodes")
