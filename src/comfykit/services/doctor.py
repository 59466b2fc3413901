"""Examine this machine."""

from __future__ import annotations

from dataclasses import dataclass

from comfykit.doctor.checks import CHECKS
from comfykit.doctor.facts import gather
from comfykit.doctor.interface import Finding, Status
from comfykit.settings import Settings


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Everything that the checks found, in the order to show it."""

    findings: tuple[Finding, ...]

    def count(self, status: Status) -> int:
        """How many findings have a status."""
        return sum(finding.status is status for finding in self.findings)


def examine(settings: Settings) -> Diagnosis:
    """Gather the facts and run every check; takes about as long as importing torch does."""
    facts = gather(settings)
    return Diagnosis(tuple(finding for check in CHECKS for finding in check(facts)))
