from __future__ import annotations

import os
import tempfile

import pytest

from comfykit.cli.pictures.box import Cell
from comfykit.cli.pictures.query import ASK_CELL, ASK_KITTY, ASK_WHAT, Answers, ask, understood
from pseudo_terminal import run_in_terminal

ASK = """
from comfykit.cli.pictures.query import ask
import sys
sys.stdout.write(str(ask(2, kitty={kitty}, timeout={timeout})))
"""


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (b"", Answers()),
        (b"\x1b[?62;22c", Answers()),
        (b"\x1b[?62;4;22c", Answers(sixel=True)),
        (b"\x1b[?4c", Answers(sixel=True)),
        (b"\x1b[?64;14;44c", Answers()),
        (b"\x1b_Gi=31;OK\x1b\\\x1b[6;36;18t\x1b[?62c", Answers(kitty=True, cell=Cell(18, 36))),
        (b"\x1b_Gi=31;ENOTSUPPORTED:no\x1b\\\x1b[?62;4c", Answers(sixel=True)),
        (b"ls\n\x1b[6;0;0t\x1b[Ax\x1b[?1;2;4c", Answers(sixel=True)),
        (b"\x1b[6;16;8t", Answers(cell=Cell(8, 16))),
    ],
)
def test_what_answers_mean(said: bytes, expected: Answers) -> None:
    assert understood(said) == expected


def test_a_terminal_that_answers() -> None:
    seen = run_in_terminal(
        ASK.format(kitty=True, timeout=60), answer=b"\x1b_Gi=31;OK\x1b\\\x1b[6;36;18t\x1b[?62;4c", piped=True
    )
    assert seen.piped.decode() == str(Answers(kitty=True, sixel=True, cell=Cell(18, 36)))
    assert seen.screen == ASK_KITTY + ASK_CELL + ASK_WHAT, "and no answer is echoed"
    assert seen.restored


def test_a_multiplexer_is_not_asked_for_kitty() -> None:
    seen = run_in_terminal(ASK.format(kitty=False, timeout=60), answer=b"\x1b[?1;2;4c", piped=True)
    assert seen.piped.decode() == str(Answers(sixel=True))
    assert seen.screen == ASK_CELL + ASK_WHAT


def test_a_terminal_that_says_nothing_is_given_up() -> None:
    seen = run_in_terminal(ASK.format(kitty=True, timeout=0.2), piped=True)
    assert seen.piped.decode() == str(Answers())
    assert seen.restored


def test_keys_that_were_typed_ahead_are_left_alone() -> None:
    program = ASK.format(kitty=True, timeout=60) + "sys.stdout.write(input())\n"
    seen = run_in_terminal(program, typed=b"next\n", piped=True)
    assert seen.piped.decode() == f"{Answers()}next"
    assert ASK_WHAT not in seen.screen


def test_a_process_in_the_background_does_not_ask() -> None:
    """The system would stop it, for ever where nobody looks."""
    program = "import os\nif os.fork():\n    os.wait()\nelse:\n    os.setpgid(0, 0)\n    " + ASK.format(
        kitty=True, timeout=60
    ).strip().replace("\n", "\n    ")
    seen = run_in_terminal(program + "; sys.stdout.flush()\n", piped=True)
    assert seen.piped.decode() == str(Answers())
    assert seen.screen == b""


def test_what_is_no_terminal_is_not_asked() -> None:
    with tempfile.TemporaryFile() as file:
        assert ask(file.fileno(), kitty=True) == Answers()
        assert os.fstat(file.fileno()).st_size == 0
