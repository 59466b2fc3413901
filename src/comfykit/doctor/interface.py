"""What a check is: a pure function from facts to findings."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from comfykit.doctor.facts import Facts


class Status(StrEnum):
    """How serious a finding is; only a failure makes `comfykit doctor` exit with 1."""

    OK = "ok"
    WARNING = "warning"
    FAILURE = "failure"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing a check has to say; `hint` says what to do about it."""

    check: str
    status: Status
    message: str
    hint: str | None = None


Check: TypeAlias = "Callable[[Facts], Iterable[Finding]]"
