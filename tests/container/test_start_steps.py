"""The steps of a start, with a command in the place of comfykit that writes down how it was called."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from fetch_support import environment

PROGRAM = """
import sys
from pathlib import Path
from comfykit.events import StepEnded
from comfykit.services.start import Plan, start

home = Path(sys.argv[1])
ended = []
def report(event):
    if isinstance(event, StepEnded):
        ended.append((event.step, event.code))
lists = [home / "download.txt"], [home / "nodes.txt"]
plan = Plan(home, [str(home / "stand-in")], *lists, ["sh", "-c", "exit 4"])
code = start(plan, report)
sys.stdout.write(repr((code, ended)))
"""


def called(home: Path, **codes: int) -> tuple[str, list[str]]:
    """What a start came to, and the calls of the stand-in, whose commands end with these exit codes."""
    cases = " ".join(f"{name.replace('_', '-')}) exit {code};;" for name, code in codes.items())
    script = f'#!/bin/sh\necho "$@" >> {home}/calls\ncase $1 in {cases} esac\n'
    (home / "stand-in").write_text(script)
    (home / "stand-in").chmod(0o755)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(home)],
        env=environment(TMPDIR=str(home)), capture_output=True, text=True, check=True, timeout=300,
    )  # fmt: skip
    return done.stdout, (home / "calls").read_text().splitlines()


def test_checks_models_and_nodes_come_in_turn_and_none_keeps_the_next_from_starting(
    tmp_path: Path,
) -> None:
    (tmp_path / "download.txt").touch()
    (tmp_path / "nodes.txt").touch()
    told, calls = called(tmp_path, doctor=1, install_models=3, install_nodes=2)
    assert told == repr((4, [("doctor", 1), ("models", 3), ("nodes", 2)]))
    assert calls == [
        "doctor",
        f"install-models --yes -- {tmp_path}/download.txt",
        f"install-nodes --yes -- {tmp_path}/nodes.txt",
    ]


def test_lists_that_are_not_there_are_no_steps(tmp_path: Path) -> None:
    told, calls = called(tmp_path)
    assert told == repr((4, [("doctor", 0)]))
    assert calls == ["doctor"]
    assert not (tmp_path / ".comfykit").exists()


def test_one_pack_that_cannot_be_had_keeps_no_other_of_its_list(tmp_path: Path) -> None:
    (tmp_path / "nodes.txt").write_text("# packs\nsomebody/one  # the first\n\n./two\n")
    told, calls = called(tmp_path, install_nodes=1)
    assert told == repr((4, [("doctor", 0), ("nodes", 1), ("nodes", 1), ("nodes", 1)]))
    assert calls[1:] == [
        f"install-nodes --yes -- {tmp_path}/nodes.txt",
        "install-nodes --yes -- somebody/one",
        f"install-nodes --yes -- {tmp_path}/two",
    ]


def test_ctrl_c_in_a_step_ends_it_all(tmp_path: Path) -> None:
    (tmp_path / "download.txt").touch()
    told, calls = called(tmp_path, doctor=130)
    assert told == repr((130, [("doctor", 130)]))
    assert calls == ["doctor"]
