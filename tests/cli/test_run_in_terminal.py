"""`comfykit run` where a person sits, in a pseudo-terminal."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from comfykit.cli.pictures.blocks import pixels
from comfykit.cli.pictures.gallery import LARGEST, PREVIEW, opened
from drawings import blocks_in, sixel_in
from pseudo_terminal import Seen, run_in_terminal
from random_weights import WORKFLOW

PROGRAM = "from comfykit.cli.app import main; main()"
BOX = LARGEST.columns * 8 // 10, 2 * LARGEST.rows  # of a square picture, in half blocks


@pytest.fixture
def workflow(tmp_path: Path) -> Path:
    prompt = json.loads(WORKFLOW.read_text(encoding="utf-8"))
    prompt["4"]["inputs"] |= {"width": 64, "height": 64}
    prompt["5"]["inputs"]["steps"] = 3
    path = tmp_path / "small.json"
    path.write_text(json.dumps(prompt), encoding="utf-8")
    return path


def run(
    workflow: Path,
    home: Path,
    *options: str,
    terminal: str = "blocks",
    answer: bytes = b"",
    piped: bool = False,
    rows: int = 40,
) -> Seen:
    output = workflow.parent / "out"
    arguments = ["run", str(workflow), "--home", str(home), "--output-dir", str(output), *options]
    environment = {"COMFYKIT_TERMINAL": terminal}
    seen = run_in_terminal(
        PROGRAM, arguments, environment=environment, answer=answer, piped=piped, rows=rows, columns=200
    )
    assert seen.code == 0, seen.screen
    assert seen.restored
    return seen


def test_the_saved_picture_appears_after_its_name(random_home: Path, workflow: Path) -> None:
    seen = run(workflow, random_home, "--preview")
    path = workflow.parent / "out" / "demo_00001_.png"
    during, name, after = seen.screen.decode().partition(str(path))
    assert name
    saved = opened(path)
    assert saved is not None
    assert blocks_in(after)[: BOX[1]] == pixels(saved, BOX)
    previews = during.count("▀")
    assert previews >= PREVIEW.columns * PREVIEW.rows
    assert previews % PREVIEW.columns == 0


def test_the_terminal_is_asked_and_names_still_go_to_the_pipe(random_home: Path, workflow: Path) -> None:
    answer = b"\x1b[6;20;10t\x1b[?62;4c"
    seen = run(workflow, random_home, terminal="", answer=answer, piped=True, rows=8)
    path = workflow.parent / "out" / "demo_00001_.png"
    assert seen.piped.decode() == f"{path}\n"
    (drawn,) = re.findall(r"\x1bP.*?\x1b\\", seen.screen.decode(), re.DOTALL)
    rows = sixel_in(drawn)
    assert (len(rows), len(rows[0])) == (4 * 20, 4 * 20), "four lines are left for text"
    assert b"62;4c" not in seen.screen
    assert "▀" not in seen.screen.decode()


@pytest.mark.parametrize("option", ["--no-show", "--json"])
def test_no_picture_for_who_wants_none(random_home: Path, workflow: Path, option: str) -> None:
    seen = run(workflow, random_home, option)
    assert b"demo_00001_.png" in seen.screen
    assert "▀" not in seen.screen.decode()


def test_the_demo_shows_what_it_makes(tmp_path: Path) -> None:
    path = tmp_path / "demo.png"
    arguments = ["demo", "--steps", "2", "--preview", "-o", str(path)]
    seen = run_in_terminal(PROGRAM, arguments, environment={"COMFYKIT_TERMINAL": "blocks"}, columns=200)
    assert seen.code == 0, seen.screen
    during, name, after = seen.screen.decode().partition(str(path))
    assert "▀" in during
    assert name
    saved = opened(path)
    assert saved is not None
    assert blocks_in(after)[: BOX[1]] == pixels(saved, BOX)
