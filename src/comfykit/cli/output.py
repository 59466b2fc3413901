"""The one sink for what a command says: data on stdout, talk on stderr, for people or as JSON.

Commands build an `Output` from their `--json` flag and hand it values; they never call `print`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console


# Control characters move the cursor, recolour the screen or ring: a file name or a server may hold them.
_CONTROLS = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in "\n\t"}
UNBOUNDED = 100_000


def printable(text: str, encoding: str) -> str:
    """Text as any terminal can show it: what it cannot encode, and what would steer it, is spelled out."""
    return text.translate(_CONTROLS).encode(encoding, "backslashreplace").decode(encoding)


class Output:
    """Where a command's words go.

    With `as_json`, stdout carries one JSON object per line and nothing else; without it, tables and
    plain lines. Talk (progress, hints, warnings) goes to stderr either way.
    """

    def __init__(self, *, as_json: bool = False) -> None:
        self.as_json = as_json
        self._consoles: dict[bool, Console] = {}

    def console(self, *, stderr: bool = False) -> Console:
        """The rich console of stdout or stderr; made at the first use, as rich costs start-up time."""
        if stderr not in self._consoles:
            from rich.console import Console

            console = Console(stderr=stderr, highlight=False, emoji=False, soft_wrap=True)
            if not (stderr or console.is_terminal):
                # A pipe has no width: table cells stay whole, so that a program finds them again.
                console.width = UNBOUNDED
            self._consoles[stderr] = console
        return self._consoles[stderr]

    @property
    def width(self) -> int | None:
        """Columns of the terminal that stdout is; None where it is a pipe or a file."""
        console = self.console()
        return console.width if console.is_terminal else None

    def record(self, **fields: Any) -> None:
        """One JSON object on a line of stdout; says nothing without `--json`."""
        if self.as_json:
            sys.stdout.write(json.dumps(fields, default=str) + "\n")
            sys.stdout.flush()

    def line(self, text: str, *, lead: str = "", style: str | None = None) -> None:
        """One line of data on stdout; says nothing with `--json`.

        `lead` comes before the text; `style` colours it, and it alone, on a terminal.
        """
        if self.as_json:
            return
        if style is not None and self.width is not None:
            self._print([(lead, style), (text, None)])
        else:  # as it is: rich would turn tabs into spaces
            sys.stdout.write(printable(f"{lead}{text}\n", sys.stdout.encoding or "utf-8"))
            sys.stdout.flush()

    def table(
        self, columns: Sequence[str], rows: Iterable[Sequence[str]], *, title: str | None = None
    ) -> None:
        """A table on stdout for people; says nothing with `--json`."""
        if self.as_json:
            return
        from rich import box
        from rich.table import Table
        from rich.text import Text

        console = self.console()

        def text(cell: str) -> Text:
            return Text(printable(cell, console.encoding))

        table = Table(
            title=text(title) if title else None, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False
        )
        for column in columns:
            table.add_column(text(column), overflow="fold")
        for row in rows:
            table.add_row(*map(text, row))
        console.print(table, soft_wrap=False)

    def say(self, text: str, *, style: str | None = None) -> None:
        """A sentence on stderr; `style` adds colour to a terminal and nothing elsewhere."""
        self._print([(text, style)], stderr=True)

    def warn(self, text: str, hint: str | None = None) -> None:
        """A warning on stderr."""
        self.say(f"warning: {text}", style="yellow")
        if hint:
            self.say(f"  hint: {hint}")

    def error(self, text: str, hint: str | None = None, facts: Mapping[str, Any] | None = None) -> None:
        """An error on stderr; with `--json` also a record on stdout."""
        self.say(f"error: {text}", style="bold red")
        if hint:
            self.say(f"  hint: {hint}")
        self.record(event="error", message=text, hint=hint, **(facts or {}))

    def _print(self, parts: Sequence[tuple[str, str | None]], *, stderr: bool = False) -> None:
        """Print pieces of a line, each in its style."""
        from rich.text import Text

        console = self.console(stderr=stderr)
        pieces = ((printable(text, console.encoding), style or "") for text, style in parts)
        console.print(Text.assemble(*pieces))
