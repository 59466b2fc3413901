"""Machines of public reports: each file names its source, and every finding that is expected of it."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

import pytest

from comfykit.doctor.export import read
from comfykit.services.doctor import judge

MACHINES = sorted((Path(__file__).parent / "machines").glob("*.toml"))


def expected(machine: Path) -> set[str]:
    report = tomllib.loads(machine.read_text(encoding="utf-8"))["report"]
    assert report["source"].startswith("https://")
    return set(report["expected"])


def found(machine: Path) -> set[str]:
    return {finding.code for finding in judge(read(machine)).findings if finding.code}


@pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: machine.stem)
def test_every_finding_and_no_other(machine: Path) -> None:
    assert found(machine) == expected(machine)


def test_precision_and_recall(capsys: pytest.CaptureFixture[str]) -> None:
    right = named = wanted = 0
    for machine in MACHINES:
        ours, theirs = found(machine), expected(machine)
        right, named, wanted = right + len(ours & theirs), named + len(ours), wanted + len(theirs)
    with capsys.disabled():
        sys.stdout.write(
            f"\n{len(MACHINES)} machines: precision {right / named:.1%}, recall {right / wanted:.1%}\n"
        )
    assert len(MACHINES) >= 120
    assert right == named == wanted


def test_the_four_that_guides_warn_of_most() -> None:
    codes = set().union(*map(expected, MACHINES))
    assert {"CK204", "CK303", "CK404", "CK405", "CK308"} <= codes
