"""The findings that there are: `assets/findings.toml`, and how one of them is made."""

from __future__ import annotations

import functools
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources

from comfykit.doctor.interface import Command, Finding, Status

PAGES = "docs/doctor"


@dataclass(frozen=True, slots=True)
class Entry:
    """A kind of finding: what is wrong in general, why it matters and what to do.

    `patterns` are what programs say where this is the cause; `sources` are where that is known from.
    """

    code: str
    check: str
    status: Status
    title: str
    why: str
    fix: str
    seen: str
    patterns: tuple[re.Pattern[str], ...] = ()
    sources: tuple[str, ...] = ()

    @property
    def page(self) -> str:
        """Where there is more about it."""
        return f"{PAGES}/{self.code}.md"


@functools.cache
def catalogue() -> Mapping[str, Entry]:
    """Every kind of finding by its code, in order."""
    text = resources.files("comfykit").joinpath("assets", "findings.toml").read_text(encoding="utf-8")
    return {
        code: Entry(
            code=code,
            check=row["check"],
            status=Status(row["status"]),
            title=row["title"],
            why=row["why"],
            fix=row["fix"],
            seen=row["seen"],
            patterns=tuple(
                re.compile(pattern, re.IGNORECASE | re.MULTILINE) for pattern in row.get("patterns", ())
            ),
            sources=tuple(row.get("sources", ())),
        )
        for code, row in tomllib.loads(text).items()
    }


def finding(
    code: str,
    message: str,
    *,
    seen: str | None = None,
    hint: str | None = None,
    commands: Sequence[Command] = (),
    status: Status | None = None,
    repairable: bool | None = None,
) -> Finding:
    """A finding of a kind; what is not given is that of its kind."""
    entry = catalogue()[code]
    return Finding(
        entry.check,
        entry.status if status is None else status,
        message,
        entry.fix if hint is None and not commands else hint,
        code,
        entry.seen if seen is None else seen,
        tuple(commands),
        bool(commands) if repairable is None else repairable,
    )


def fine(check: str, message: str) -> Finding:
    """That all is well."""
    return Finding(check, Status.OK, message)
