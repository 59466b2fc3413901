"""Asks a terminal what it can show.

Every terminal answers "what are you?" (DA1), and answers questions in order. So the ones that few know
come first, and when the answer to DA1 is there, no more are to come. A terminal that answers nothing
costs `TIMEOUT` seconds.

- DA1, `CSI c`: https://vt100.net/docs/vt510-rm/DA1.html; the attribute 4 is sixel graphics
- the size of a cell, `CSI 16 t`: https://invisible-island.net/xterm/ctlseqs/ctlseqs.html
- kitty's graphics: https://sw.kovidgoyal.net/kitty/graphics-protocol/#querying-support-and-available-transmission-mediums
"""

from __future__ import annotations

import os
import re
import select
import time
from dataclasses import dataclass

from comfykit.cli.pictures.box import Cell

TIMEOUT = 1.0  # seconds; answers come through ssh as well

ASK_KITTY = b"\x1b_Gi=31,s=1,v=1,a=q,t=d,f=24;AAAA\x1b\\"
ASK_CELL = b"\x1b[16t"
ASK_WHAT = b"\x1b[c"

_KITTY = re.compile(rb"\x1b_Gi=31;OK\x1b\\")
_CELL = re.compile(rb"\x1b\[6;(\d{1,4});(\d{1,4})t")
_WHAT = re.compile(rb"\x1b\[\?([\d;]*)c")
_MOST = 4096  # bytes of answers


@dataclass(frozen=True, slots=True)
class Answers:
    """What a terminal said of itself; `cell` is None where it did not say."""

    kitty: bool = False
    sixel: bool = False
    cell: Cell | None = None


def ask(descriptor: int, *, kitty: bool, timeout: float = TIMEOUT) -> Answers:
    """Ask the terminal behind a file descriptor; nothing is known where it cannot be asked.

    `kitty` adds the question for kitty's graphics, which terminal multiplexers take for a new title. The
    terminal's state is as before when this returns. Not asked are terminals of processes in the background,
    which the system would stop for it, and those with keys waiting that somebody typed ahead.
    """
    try:
        own = os.open(os.ttyname(descriptor), os.O_RDWR | os.O_NOCTTY)
    except (OSError, AttributeError):  # no terminal; Windows, where there is no ttyname
        return Answers()
    try:
        if os.tcgetpgrp(own) != os.getpgrp():
            return Answers()
        return understood(_converse(own, (ASK_KITTY if kitty else b"") + ASK_CELL + ASK_WHAT, timeout))
    except OSError:
        return Answers()
    finally:
        os.close(own)


def understood(said: bytes) -> Answers:
    """What answers mean; whatever else was typed or said between them is passed over."""
    what, cell = _WHAT.search(said), _CELL.search(said)
    size = (int(cell[2]), int(cell[1])) if cell else (0, 0)
    return Answers(
        kitty=_KITTY.search(said) is not None,
        sixel=what is not None and b"4" in what[1].split(b";"),
        cell=Cell(*size) if all(size) else None,
    )


def _converse(terminal: int, questions: bytes, timeout: float) -> bytes:
    """What is said up to the answer to DA1. Meanwhile nothing is echoed, and no line has to be ended."""
    import termios

    try:
        before = termios.tcgetattr(terminal)
    except termios.error:
        return b""
    quiet = before[:]
    quiet[3] &= ~(termios.ECHO | termios.ICANON)
    quiet[6] = [*before[6]]
    quiet[6][termios.VMIN], quiet[6][termios.VTIME] = 0, 0
    try:
        termios.tcsetattr(terminal, termios.TCSANOW, quiet)
        if select.select([terminal], [], [], 0)[0]:
            return b""
        os.write(terminal, questions)
        return _read(terminal, time.monotonic() + timeout)
    finally:
        termios.tcsetattr(terminal, termios.TCSANOW, before)


def _read(terminal: int, until: float) -> bytes:
    said = b""
    while len(said) < _MOST and not _WHAT.search(said):
        left = until - time.monotonic()
        if left <= 0 or not select.select([terminal], [], [], left)[0]:
            break
        more = os.read(terminal, _MOST)
        if not more:  # hung up
            break
        said += more
    return said
