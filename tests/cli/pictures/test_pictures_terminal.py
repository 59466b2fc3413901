from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from comfykit.cli.pictures.box import SMALL_CELL, Cell
from comfykit.cli.pictures.query import Answers
from comfykit.cli.pictures.terminal import Terminal, detect
from comfykit.errors import UsageError

NULL = Path(os.devnull).open(encoding="utf-8")  # noqa: SIM115  (as long as the tests)


class Screen(io.StringIO):
    """A file that says that it is a terminal."""

    encoding = "utf-8"  # type: ignore[assignment]

    def isatty(self) -> bool:
        return True

    def fileno(self) -> int:
        return NULL.fileno()


class Ascii(Screen):
    encoding = "ascii"  # type: ignore[assignment]


class Asked:
    def __init__(self, answers: Answers = Answers()) -> None:  # noqa: B008
        self.answers = answers
        self.kitty: list[bool] = []

    def __call__(self, descriptor: int, *, kitty: bool) -> Answers:
        self.kitty.append(kitty)
        return self.answers


def console(environment: dict[str, str], file: Any = None) -> Console:
    return Console(file=file or Screen(), _environ=environment, legacy_windows=False)


def found(environment: dict[str, str], ask: Asked | None = None, file: Any = None) -> Terminal:
    environment = {"TERM": "xterm-256color", **environment}
    return detect(console(environment, file), environment, ask or Asked())


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"TERM": "xterm-kitty"}, "kitty"),
        ({"TERM": "xterm-ghostty"}, "kitty"),
        ({"TERM_PROGRAM": "ghostty"}, "kitty"),
        ({"TERM_PROGRAM": "iTerm.app"}, "iterm2"),
        ({"LC_TERMINAL": "iTerm2"}, "iterm2"),
        ({"TERM_PROGRAM": "WezTerm"}, "iterm2"),
        ({"TERM_PROGRAM": "mintty"}, "iterm2"),
        ({"TERM_PROGRAM": "Apple_Terminal"}, "blocks"),
        ({"TERM": "linux"}, "blocks"),
        ({"TERM": "dumb"}, "none"),
        ({"NO_COLOR": "1"}, "none"),
        ({"NO_COLOR": "1", "COMFYKIT_TERMINAL": "kitty"}, "kitty"),
        ({"TERM": "xterm-kitty", "COMFYKIT_TERMINAL": "sixel"}, "sixel"),
        ({"TERM": "xterm-kitty", "COMFYKIT_TERMINAL": "none"}, "none"),
    ],
)
def test_by_name_without_a_question(environment: dict[str, str], expected: str) -> None:
    asked = Asked(Answers(sixel=True))
    assert found(environment, asked).graphics == expected
    assert asked.kitty == []


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        (Answers(), Terminal("blocks", SMALL_CELL)),
        (Answers(sixel=True, cell=Cell(9, 18)), Terminal("sixel", Cell(9, 18))),
        (Answers(kitty=True, sixel=True), Terminal("kitty", SMALL_CELL)),
    ],
)
def test_by_what_it_answers(answers: Answers, expected: Terminal) -> None:
    asked = Asked(answers)
    assert found({"TERM_PROGRAM": "vscode"}, asked) == expected
    assert asked.kitty == [True]


@pytest.mark.parametrize(
    "environment",
    [
        {"TMUX": "/tmp/tmux-0/default,1,0", "TERM": "xterm-kitty"},
        {"TERM": "tmux-256color", "TERM_PROGRAM": "tmux"},
        {"TERM": "screen", "LC_TERMINAL": "iTerm2"},
        {"STY": "1.pts", "TERM_PROGRAM": "WezTerm"},
    ],
)
def test_multiplexers_speak_for_themselves(environment: dict[str, str]) -> None:
    asked = Asked()
    assert found(environment, asked).graphics == "blocks"
    assert asked.kitty == [False]
    assert found(environment, Asked(Answers(sixel=True))).graphics == "sixel"


@pytest.mark.parametrize("chosen", ["", "kitty", "blocks"])
def test_a_file_or_a_pipe_gets_nothing_whatever_is_chosen(chosen: str) -> None:
    asked = Asked(Answers(kitty=True))
    environment = {"TERM": "xterm-kitty", "COMFYKIT_TERMINAL": chosen, "FORCE_COLOR": "1"}
    assert found(environment, asked, io.StringIO()) == Terminal("none")
    assert asked.kitty == []


def test_half_blocks_need_more_than_ascii() -> None:
    assert found({}, file=Ascii()).graphics == "none"
    assert found({"TERM": "xterm-kitty"}, file=Ascii()).graphics == "kitty"


def test_another_value_is_an_error() -> None:
    with pytest.raises(UsageError, match="COMFYKIT_TERMINAL 'vt100' is not one of kitty, iterm2, sixel"):
        found({"COMFYKIT_TERMINAL": "vt100"})
