"""What a check is: a pure function from facts to findings."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from comfykit.doctor.facts import Facts

Command: TypeAlias = tuple[str, ...]


class Status(StrEnum):
    """How serious a finding is; a failure makes `comfykit doctor` exit with 1."""

    OK = "ok"
    WARNING = "warning"
    FAILURE = "failure"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing a check has to say.

    `code` is None where all is well. `seen` says how the thing was seen, `hint` what to do about it in words,
    `commands` what to run; where it is `repairable`, running them as they stand mends it.
    """

    check: str
    status: Status
    message: str
    hint: str | None = None
    code: str | None = None
    seen: str | None = None
    commands: tuple[Command, ...] = ()
    repairable: bool = False


Check: TypeAlias = "Callable[[Facts], Iterable[Finding]]"
