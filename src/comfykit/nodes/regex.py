"""Regular expressions from workflows, in a process of their own.

Some expressions, such as (a+)+b, take longer than anybody waits on some texts, and Python cannot stop a
match that has begun. A process can be stopped.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from comfykit.errors import ComfykitError, UsageError

SECONDS = 10.0
_WORKER = Path(__file__).with_name("regex_worker.py")


class BadPattern(ComfykitError):
    """A regular expression, or a replacement, that means nothing."""

    code = "bad_pattern"


@dataclass(frozen=True, slots=True)
class Matcher:
    """A regular expression of Python's `re` with its flags.

    A match is the list of what fitted: the whole expression, then each of its groups, None for those that
    took no part. Methods raise `BadPattern`, and `UsageError` when they take longer than `SECONDS`.
    """

    pattern: str
    ignores_case: bool = False
    multiline: bool = False
    dotall: bool = False

    def first(self, text: str) -> list[str | None] | None:
        """The first match in a text, None without any."""
        found: list[str | None] | None = self._ask("first", text)
        return found

    def all(self, text: str) -> list[list[str | None]]:
        """All matches in a text."""
        found: list[list[str | None]] = self._ask("all", text)
        return found

    def replaced(self, text: str, replacement: str, count: int = 0) -> str:
        """The text with matches replaced, at most `count` of them unless that is 0."""
        made: str = self._ask("replace", text, replacement=replacement, count=count)
        return made

    def _ask(self, what: str, text: str, **more: Any) -> Any:
        question = {
            "what": what,
            "pattern": self.pattern,
            "flags": [self.ignores_case, self.multiline, self.dotall],
            "text": text,
            **more,
        }
        try:
            ended = subprocess.run(
                [sys.executable, "-I", "-S", str(_WORKER)],
                input=json.dumps(question),
                capture_output=True,
                encoding="ascii",
                timeout=SECONDS,
                check=True,
            )
        except subprocess.TimeoutExpired as error:
            raise UsageError(
                f"the regular expression {self.pattern!r} takes longer than {SECONDS:.0f} s on this text",
                hint="repetitions inside repetitions, such as (a+)+, are slow: write it without",
            ) from error
        answer = json.loads(ended.stdout)
        if "error" in answer:
            raise BadPattern(
                f"the regular expression {self.pattern!r} is invalid: {answer['error']}",
                hint="a backslash before . * + ? ( ) [ ] { } ^ $ | \\ takes their meaning away",
            )
        return answer["result"]
