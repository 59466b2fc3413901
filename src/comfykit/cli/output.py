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

            self._consoles[stderr] = Console(stderr=stderr, highlight=False, soft_wrap=True)
        return self._consoles[stderr]

    def record(self, **fields: Any) -> None:
        """One JSON object on a line of stdout; says nothing without `--json`."""
        if self.as_json:
            sys.stdout.write(json.dumps(fields, ensure_ascii=False, default=str) + "\n")
            sys.stdout.flush()

    def line(self, text: str) -> None:
        """One line of data on stdout; says nothing with `--json`."""
        if not self.as_json:
            sys.stdout.write(f"{text}\n")
            sys.stdout.flush()

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[str]], *, title: str | None = None) -> None:
        """A table on stdout for people; says nothing with `--json`."""
        if self.as_json:
            return
        from rich import box
        from rich.table import Table
        from rich.text import Text

        table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
        for column in columns:
            table.add_column(column, overflow="fold")
        for row in rows:
            table.add_row(*(Text(cell) for cell in row))
        self.console().print(table, soft_wrap=False)

    def say(self, text: str, *, style: str | None = None) -> None:
        """A sentence on stderr; `style` adds colour to a terminal and nothing elsewhere."""
        self.console(stderr=True).print(text, style=style, markup=False)

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
