from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import comfykit

COMMAND = [sys.executable, "-m", "comfykit", "demo", "--steps", "2"]
SOURCE = Path(comfykit.__file__).parents[1]


def run(folder: Path, *arguments: object) -> tuple[int, str, str]:
    """The command in a folder, by a user without a home or any other setting: (exit code, stdout, stderr)."""
    ended = subprocess.run(
        [*COMMAND, *map(str, arguments)],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(SOURCE), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return ended.returncode, ended.stdout, ended.stderr


def test_the_file_goes_to_stdout_and_words_to_stderr(tmp_path: Path) -> None:
    code, said, talk = run(tmp_path, "a purple heart in the snow", "--seed", 4)
    assert (code, said) == (0, "comfykit-demo.png\n")
    assert '"a purple heart in the snow", seed 4: 2 steps, ' in talk
    assert "it does not know: snow\n" in talk
    assert 'comfykit run comfykit-demo.png --set "Positive.text=' in talk
    assert [path.name for path in tmp_path.iterdir()] == ["comfykit-demo.png"]


def test_one_object_for_programs(tmp_path: Path) -> None:
    code, said, talk = run(tmp_path, "a blue ring", "-o", tmp_path / "ring.png", "--json")
    assert code == 0, talk
    (line,) = said.splitlines()
    found = json.loads(line)
    assert 0 < found.pop("seconds") < 120
    assert found == {
        "event": "done",
        "status": "success",
        "path": str(tmp_path / "ring.png"),
        "prompt": "a blue ring",
        "seed": found["seed"],
        "steps": 2,
        "unknown_words": [],
    }
    assert (tmp_path / "ring.png").is_file()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--steps", "0"), "error: --steps 0 is not a whole number from 1 to 10000"),
        (("-o", "there.png"), "error: there.png is there already"),
        (("-o", "x.jpg"), "hint: name it x.png"),
        (("-o", "/proc/x.png"), "error: /proc/x.png cannot be written: "),
        (("--device", "abacus"), "error: device 'abacus' is not one of auto, cpu, cuda"),
    ],
)
def test_what_cannot_be_used(tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    (tmp_path / "there.png").touch()
    code, out, talk = run(tmp_path, *arguments)
    assert (code, out) == (2, "")
    assert said in talk
    assert [path.name for path in tmp_path.iterdir()] == ["there.png"]


def test_a_picture_is_a_workflow_that_runs_again(tmp_path: Path) -> None:
    assert run(tmp_path)[0] == 0
    again = subprocess.run(
        [sys.executable, "-m", "comfykit", "run", "comfykit-demo.png", "--home", "home"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(SOURCE), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (again.returncode, again.stdout) == (0, f"{tmp_path / 'home' / 'output' / 'demo_00001_.png'}\n")
