"""`comfykit install-nodes`, `packs` and `sync`, as a script meets them."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from comfykit.cli.app import build
from comfykit.errors import ComfykitError, PackError, UsageError
from comfykit.packs.environment import Environment, freeze
from comfykit.packs.probing import Probe
from comfykit.services import check_packs, pack_changes
from pack_support import CORE, Place, commit, make_whole_environment, pack, wheel

Run = Callable[..., Result]


@pytest.fixture
def run(place: Place, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs comfykit on the home and the environment of `place`; errors are raised, not told."""

    def environment(python: Path = place.environment.python) -> Environment:
        return Environment(python)

    monkeypatch.setattr(pack_changes, "Environment", environment)
    monkeypatch.setenv("COMFYKIT_HOME", str(place.home))
    monkeypatch.chdir(place.root)

    def run(*arguments: str, code: int = 0) -> Result:
        done = CliRunner().invoke(build(), list(arguments))
        if isinstance(done.exception, ComfykitError):
            raise done.exception
        assert done.exit_code == code, done.output
        return done

    return run


def records(done: Result) -> list[dict[str, object]]:
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_pack_is_installed_listed_shown_checked_and_removed(run: Run, place: Place) -> None:
    source = pack(place.root / "source" / "Alpha", "thing<2", "numpy<2", classes=("A", "B"), install__py="1")
    head = commit(source)
    dry = run("install-nodes", f"file://{source}", "--dry-run")
    assert f"add        Alpha  file://{source} @ {head[:10]}" in dry.stdout
    assert "package    + thing 1.0  for Alpha" in dry.stdout
    assert "numpy stays 2.4.6" in dry.stdout
    assert "script     Alpha/install.py, 1 lines" in dry.stdout
    assert not place.home.exists()
    done = records(run("install-nodes", f"file://{source}", "--json"))
    assert [one for one in done if one["event"] == "imported"] == [
        {"event": "imported", "pack": "Alpha", "classes": ["A", "B"]}
    ]
    assert {one["name"]: one["after"] for one in done if one["event"] == "package"} == {
        "below": "1.0",
        "thing": "1.0",
    }
    assert done[-1] == {
        "event": "done",
        "status": "success",
        "changed": True,
        "packs": {"add": 1},
        "packages": 2,
        "snapshot": 1,
    }
    (listed,) = records(run("packs", "list", "--json"))
    assert (listed["name"], listed["commit"], listed["enabled"]) == ("Alpha", head, True)
    assert head[:10] in run("packs", "list").stdout
    (shown,) = records(run("packs", "show", "alpha", "--json"))
    assert (shown["classes"], shown["requirements"]) == (["A", "B"], ["thing<2", "numpy<2"])
    checked = records(run("packs", "check", "--json"))
    assert (checked[0]["imported"], checked[0]["classes"]) == (True, ["A", "B"])
    assert "nothing to do" in run("install-nodes", f"file://{source}").output
    assert "1 pack removed, 2 packages changed" in run("packs", "remove", "alpha").output
    assert freeze(place.environment) == CORE
    snapshots = records(run("packs", "snapshot", "list", "--json"))
    assert [one["packs"] for one in snapshots] == [[], ["Alpha"]]
    run("packs", "snapshot", "restore", "2")
    assert "nothing to do" in run("packs", "enable", "Alpha").output
    run("packs", "disable", "Alpha")
    assert "off" in run("packs", "list").stdout


def test_a_check_says_what_works_and_what_does_not(
    run: Run, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    pack(place.home / "custom_nodes" / "Alpha", classes=("Good", "Broken", "Left"))
    told = Probe(
        "Alpha",
        classes=("Good",),
        problems={"Broken": "KeyError: 't5'"},
        hints=("let its script run",),
        missing=("comfy.gone",),
        lacks=("comfy.gone", *(f"comfy.sd.n{number}" for number in range(8))),
        warnings=("a library is not whole",),
    )
    monkeypatch.setattr(check_packs, "probe_pack", lambda *arguments, **options: told)
    done = run("packs", "check", "Alpha")
    assert done.stdout.splitlines() == [
        "ok      Alpha  1 of 3 classes",
        "        Broken: KeyError: 't5'",
        "        named in its files and not offered: Left",
        "        not here, asked for while it was imported: comfy.gone",
        "        not here, used in functions: comfy.sd.n0, comfy.sd.n1, comfy.sd.n2, comfy.sd.n3, "
        "comfy.sd.n4, comfy.sd.n5 and 2 more",
    ]
    assert "hint: let its script run" in done.stderr
    assert "warning: Alpha: a library is not whole" in done.stderr
    (record, _) = records(run("packs", "check", "Alpha", "--json"))
    assert record["missing"] == ["comfy.gone"]
    assert len(record["lacks"]) == 8  # type: ignore[arg-type]


def test_a_check_shows_a_pack_before_it_turns_to_the_next(
    run: Run, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("Alpha", "Beta"):
        pack(place.home / "custom_nodes" / name)

    def told(path: Path, *rest: object, **options: object) -> Probe:
        if path.name == "Beta":
            raise RuntimeError("it hangs")
        return Probe(path.name, classes=("Node",))

    monkeypatch.setattr(check_packs, "probe_pack", told)
    assert run("packs", "check", code=1).stdout.splitlines() == ["ok      Alpha  1 of 1 class"]


def test_a_conflict_is_said_in_words_and_fails(run: Run, place: Place) -> None:
    pack(place.root / "Alpha", "thing<2")
    pack(place.root / "Beta", "thing>=2")
    done = run("install-nodes", "./Alpha", "./Beta", "--dry-run", "--json", code=1)
    (conflict,) = [one for one in records(done) if one["event"] == "conflict"]
    assert (sorted(conflict["packs"]), conflict["about"]) == (["Alpha", "Beta"], "thing")  # type: ignore[call-overload]
    assert conflict["suggestion"]
    with pytest.raises(PackError, match="1 conflict in what packs want, told above; nothing was changed"):
        run("install-nodes", "./Alpha", "./Beta")
    assert not place.home.exists()


def test_an_index_is_allowed_by_yes_alone_where_nobody_is_asked(run: Run, place: Place) -> None:
    elsewhere = wheel(place.root / "elsewhere", "rare", "1.0").parent
    pack(place.root / "Beta", f"--find-links {elsewhere.as_uri()}", "rare")
    with pytest.raises(UsageError, match=r"Beta wants packages from file:.*nobody is there"):
        run("install-nodes", "./Beta")
    run("install-nodes", "./Beta", "--yes")
    assert freeze(place.environment)["rare"] == "1.0"


def test_a_list_of_packs_is_a_file(run: Run, place: Place) -> None:
    for name in ("Alpha", "Beta"):
        pack(place.root / name)
    (place.root / "packs.txt").write_text("# ours\n./Alpha\n./Beta  # another\n")
    run("install-nodes", "packs.txt", "--no-deps")
    assert {one["name"] for one in records(run("packs", "list", "--json"))} == {"Alpha", "Beta"}


def test_sync_says_what_it_does(run: Run, place: Place) -> None:
    with pytest.raises(PackError, match=r"there is no .*comfykit\.lock"):
        run("sync")
    pack(place.root / "Alpha", "thing")
    run("install-nodes", "./Alpha")
    (place.home / "custom_nodes" / "Alpha" / "__init__.py").write_text("")
    assert "replace    Alpha" in run("sync", "--dry-run").stdout
    assert "1 pack replaced" in run("sync", "--frozen").output
    assert "as its lock says" in run("sync", "--frozen").output
    run("packs", "lock")


def test_a_pack_that_fails_its_check_is_an_error(run: Run, place: Place) -> None:
    pack(place.home / "custom_nodes" / "Broken", code="import nowhere")
    done = run("packs", "check", "broken", "--json", code=1)
    assert "nowhere" in str(records(done)[0]["cause"])


def test_bisect_tries_a_command(run: Run, place: Place) -> None:
    for name in ("a", "b", "c"):
        pack(place.home / "custom_nodes" / name)
    command = ("--", "test", "!", "-d", str(place.home / "custom_nodes" / "b"))
    assert run("packs", "bisect", *command).stdout == "b\n"
    with pytest.raises(UsageError, match="nobody is there"):
        run("packs", "bisect")


ADD = """
import thing

class Add:
    RETURN_TYPES, FUNCTION, CATEGORY = ("INT",), "add", "numbers"

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"a": ("INT", {"default": 1})}}

    def add(self, a):
        return (a + 1,)

NODE_CLASS_MAPPINGS = {"PackAdd": Add}
"""


def test_a_whole_installation_in_processes_of_its_own(place: Place) -> None:
    """With the real probe, and `sync` that finds nothing to do without starting anything."""
    python = make_whole_environment(place.root / "whole").python
    folder = pack(place.root / "Alpha", "thing")
    (folder / "__init__.py").write_text(ADD)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    def comfykit(*arguments: str) -> str:
        command = [python, "-m", "comfykit", *arguments, "--home", place.home]
        done = subprocess.run(
            command, cwd=place.root, env=environment, capture_output=True, text=True, check=False, timeout=600
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    said = [json.loads(line) for line in comfykit("install-nodes", "./Alpha", "--json").splitlines()]
    assert {"event": "imported", "pack": "Alpha", "classes": ["PackAdd"]} in said
    (done,) = [json.loads(line) for line in comfykit("sync", "--frozen", "--json").splitlines()]
    assert done == {"event": "done", "status": "success", "changed": False}
