from __future__ import annotations

from dataclasses import replace

import pytest

from comfykit.doctor.checks.packages import SHOWN, check
from comfykit.doctor.facts import Facts
from comfykit.doctor.interface import Status
from comfykit.doctor.requirements import LIBRARIES


def test_versions_that_matter_have_lines_and_the_others_share_one(healthy: Facts) -> None:
    findings = list(check(healthy))
    assert [finding.check for finding in findings] == [*SHOWN, "packages"]
    assert "scipy 1.11" in findings[-1].message


@pytest.mark.parametrize("name", sorted(LIBRARIES))
@pytest.mark.parametrize(("version", "words"), [(None, "not installed"), ("0.0.1", "0.0.1 is too old")])
def test_each_one_missing_or_old(healthy: Facts, name: str, version: str | None, words: str) -> None:
    findings = list(check(replace(healthy, packages={**healthy.packages, name: version})))
    (failure,) = [finding for finding in findings if finding.status is Status.FAILURE]
    assert failure.check == name
    assert words in failure.message
    assert failure.hint == f"pip install --upgrade '{name}>={LIBRARIES[name]}'"
    assert not [finding for finding in findings if finding is not failure and name in finding.message]
