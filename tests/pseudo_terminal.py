"""Runs a command in a pseudo-terminal, and says what a person would have seen there."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

ASKED = b"\x1b[c"  # "what are you?", the last question

# The first terminal that the leader of a session opens becomes its own.
OWN_TERMINAL = "import os; os.close(os.open(os.ttyname(0), os.O_RDWR)); "
USUAL = {"TERM": "xterm-256color", "COLORTERM": "truecolor", "OMP_NUM_THREADS": "1"}
PATIENCE = 300  # seconds


@dataclass(frozen=True)
class Seen:
    """What a command did: its exit code, what it wrote to the terminal, and to the pipe that stdout was."""

    code: int
    screen: bytes
    piped: bytes
    restored: bool


def run_in_terminal(
    program: str,
    arguments: Sequence[str] = (),
    *,
    environment: Mapping[str, str] | None = None,
    answer: bytes = b"",
    typed: bytes = b"",
    piped: bool = False,
    rows: int = 40,
    columns: int = 100,
) -> Seen:
    """Run a Python program; the terminal gives `answer` when it is asked what it is.

    `typed` are keys that somebody pressed before. `restored` is whether the terminal is in the state that it
    was in before.
    """
    terminal, end = pty.openpty()
    fcntl.ioctl(end, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    before = termios.tcgetattr(end)
    kept = {
        key: value
        for key, value in os.environ.items()
        if key not in ("TMUX", "STY", "NO_COLOR", "TERM_PROGRAM", "COLUMNS", "LINES")
    }
    os.write(terminal, typed)
    process = subprocess.Popen(
        [sys.executable, "-c", OWN_TERMINAL + program, *arguments],
        stdin=end, stderr=end, stdout=subprocess.PIPE if piped else end, start_new_session=True,
        env={**kept, **USUAL, **(environment or {})},
    )  # fmt: skip
    screen, until = b"", time.monotonic() + PATIENCE
    answered = False
    while time.monotonic() < until:
        ended = process.poll() is not None
        if select.select([terminal], [], [], 0.05)[0]:
            screen += os.read(terminal, 65536)
            if answer and not answered and ASKED in screen:
                os.write(terminal, answer)
                answered = True
        elif ended:
            break
    out = process.communicate(timeout=5)[0] if piped else b""
    restored = termios.tcgetattr(end) == before
    os.close(end)
    os.close(terminal)
    return Seen(process.wait(timeout=5), screen, out, restored)
