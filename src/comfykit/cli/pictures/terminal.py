"""What the terminal can show: by its name, or by what it answers."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias, cast, get_args

from rich.console import Console

from comfykit.cli.pictures.box import SMALL_CELL, Cell
from comfykit.cli.pictures.query import Answers, ask
from comfykit.errors import UsageError

Graphics: TypeAlias = Literal["kitty", "iterm2", "sixel", "blocks", "none"]

VARIABLE = "COMFYKIT_TERMINAL"

# Terminals that say who they are, and where. A shell inside another terminal inherits variables, but TERM
# and TERM_PROGRAM are set by nearly all.
_BY_TERM: Mapping[str, Graphics] = {
    "xterm-kitty": "kitty",
    "xterm-ghostty": "kitty",
    # These print what they do not understand.
    "linux": "blocks",
    "eterm-color": "blocks",
}
_BY_PROGRAM: Mapping[str, Graphics] = {
    "ghostty": "kitty",
    "iTerm.app": "iterm2",
    "WezTerm": "iterm2",
    "mintty": "iterm2",
    "Apple_Terminal": "blocks",
}
_WITHOUT_COLOUR = ("dumb", "unknown")
_MULTIPLEXERS = ("tmux", "screen")

Ask: TypeAlias = Callable[..., Answers]
"""`query.ask`, or what stands in for it."""


@dataclass(frozen=True, slots=True)
class Terminal:
    """How pictures are shown on a terminal, and how large its cells are."""

    graphics: Graphics = "none"
    cell: Cell = SMALL_CELL


def detect(console: Console, environment: Mapping[str, str] | None = None, ask: Ask = ask) -> Terminal:
    """What the terminal behind a console can show; `none` where there is no terminal.

    $COMFYKIT_TERMINAL decides it for any terminal. Raises `UsageError` where it has another value.
    """
    environment = os.environ if environment is None else environment
    file = console.file
    if not file.isatty():
        return Terminal()
    cell = _cell(file.fileno())
    chosen = environment.get(VARIABLE)
    if chosen:
        return Terminal(_graphics(chosen), cell or SMALL_CELL)
    term = environment.get("TERM", "")
    if console.no_color or console.color_system is None or term in _WITHOUT_COLOUR:
        return Terminal()
    multiplexed = not environment.keys().isdisjoint(("TMUX", "STY")) or term.startswith(_MULTIPLEXERS)
    known = None if multiplexed else _named(environment)
    if known is None:
        # A multiplexer answers for itself, and passes the graphics on that it knows.
        answers = ask(file.fileno(), kitty=not multiplexed)
        known = "kitty" if answers.kitty else "sixel" if answers.sixel else "blocks"
        cell = answers.cell or cell
    if known == "blocks" and not console.encoding.lower().startswith("utf"):
        known = "none"
    return Terminal(known, cell or SMALL_CELL)


def _named(environment: Mapping[str, str]) -> Graphics | None:
    by_term = _BY_TERM.get(environment.get("TERM", ""))
    if by_term is not None:
        return by_term
    if environment.get("LC_TERMINAL") == "iTerm2":  # goes through ssh
        return "iterm2"
    return _BY_PROGRAM.get(environment.get("TERM_PROGRAM", ""))


def _graphics(chosen: str) -> Graphics:
    if chosen not in get_args(Graphics):
        raise UsageError(f"{VARIABLE} {chosen!r} is not one of {', '.join(get_args(Graphics))}")
    return cast(Graphics, chosen)


def _cell(descriptor: int) -> Cell | None:
    """The size of a cell as the system knows it; not every terminal tells it."""
    try:
        import fcntl
        import termios

        size = fcntl.ioctl(descriptor, termios.TIOCGWINSZ, bytes(8))
    except (ImportError, OSError):
        return None
    rows, columns, width, height = struct.unpack("HHHH", size)
    return (
        Cell(width // columns, height // rows)
        if rows and columns and width >= columns and height >= rows
        else None
    )
