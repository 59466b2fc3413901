"""What a person sees while packs whose sources do not tell their classes are looked at."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from comfykit.cli.app import build
from comfykit.packs.probing import Probe

APP = build()
STEP = "Computed: looking which node classes it has\n"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with a pack that computes its names."""
    pack = tmp_path / "custom_nodes" / "Computed"
    pack.mkdir(parents=True)
    (pack / "__init__.py").write_text("NODE_CLASS_MAPPINGS = dict(x=1)", encoding="utf-8")
    for user in ("comfykit.compat.registry", "comfykit.services.nodes"):
        monkeypatch.setattr(f"{user}.probe_pack", lambda pack, *rest: Probe(pack.name, ("One of it",)))
    return tmp_path


@pytest.fixture
def workflow(tmp_path: Path) -> Path:
    path = tmp_path / "workflow.json"
    path.write_text(json.dumps({"1": {"class_type": "Nobody has this", "inputs": {}}}), encoding="utf-8")
    return path


def test_a_run_says_which_pack_it_looks_at(home: Path, workflow: Path) -> None:
    result = CliRunner().invoke(APP, ["run", str(workflow), "--home", str(home)])
    assert result.stderr.startswith(STEP)
    assert result.stdout == ""
    again = CliRunner().invoke(APP, ["run", str(workflow), "--home", str(home)])
    assert STEP not in again.stderr


def test_a_run_tells_programs_too(home: Path, workflow: Path) -> None:
    result = CliRunner().invoke(APP, ["run", str(workflow), "--home", str(home), "--json"])
    first = json.loads(result.stdout.splitlines()[0])
    assert first == {"event": "step", "pack": "Computed", "doing": "looking which node classes it has"}


def test_checking_a_workflow_says_so(home: Path, workflow: Path) -> None:
    result = CliRunner().invoke(APP, ["workflow", "check", str(workflow), "--home", str(home)])
    assert STEP in result.stderr


def test_a_list_of_classes_says_so_beside_the_list(home: Path) -> None:
    result = CliRunner().invoke(APP, ["nodes", "list", "One of", "--home", str(home), "--json"])
    assert result.stderr.startswith(STEP)
    assert [json.loads(line) for line in result.stdout.splitlines()] == [
        {"name": "One of it", "pack": "Computed"}
    ]
