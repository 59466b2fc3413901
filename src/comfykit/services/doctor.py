"""Examine this machine, or one whose facts somebody wrote down, and mend what can be mended."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from comfykit.doctor.checks import CHECKS
from comfykit.doctor.explain import explain, explained
from comfykit.doctor.export import read
from comfykit.doctor.facts import Facts, Pack, gather
from comfykit.doctor.interface import Finding, Status
from comfykit.fetch.index import open_index
from comfykit.settings import Settings


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Everything that the checks found, in the order to show it, and the facts they judged."""

    findings: tuple[Finding, ...]
    facts: Facts = field(default_factory=Facts)

    def count(self, status: Status) -> int:
        """How many findings have a status."""
        return sum(finding.status is status for finding in self.findings)

    @property
    def repairable(self) -> tuple[Finding, ...]:
        """The findings that running their commands mends."""
        return tuple(finding for finding in self.findings if finding.repairable)


def examine(
    settings: Settings,
    *,
    facts: Path | None = None,
    workflow: str | None = None,
    networked: bool = False,
    deep: bool = False,
    spent: float = 0.0,
) -> Diagnosis:
    """Gather the facts, or read them from a file, and run every check.

    `spent` are seconds that somebody has waited already, which the looks take less.
    Raises `UsageError` for facts that cannot be read and `WorkflowError` for such a workflow.
    """
    found = (
        read(facts) if facts is not None else _gather(settings, networked=networked, deep=deep, spent=spent)
    )
    if workflow is not None:
        from comfykit.services.workflow_needs import needs_of

        found = replace(found, needs=needs_of(workflow, settings))
    return judge(found)


def _gather(settings: Settings, *, networked: bool, deep: bool, spent: float) -> Facts:
    def packs(seconds: float) -> tuple[Pack, ...]:
        from comfykit.services.failing_packs import failing_packs

        return failing_packs(settings.home, anew=deep, seconds=seconds)

    known = open_index(settings.home).known
    return gather(settings, networked=networked, deep=deep, known=known, packs=packs, spent=spent)


def judge(facts: Facts) -> Diagnosis:
    """Every finding about some facts, and what explains the errors among them."""
    findings = [finding for check in CHECKS for finding in check(facts)]
    findings += explained(facts.said, findings)
    return Diagnosis(tuple(findings), facts)


def hint_for(error: BaseException, otherwise: str | None = None) -> str | None:
    """What explains an error of a node, as a hint: the finding, what to do, and where there is more."""
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        entry = explain(f"{type(cause).__name__}: {cause}")
        if entry is not None:
            return f"{entry.title} ({entry.code}): {entry.fix}; comfykit doctor says more"
        cause = cause.__cause__ or cause.__context__
    return otherwise
