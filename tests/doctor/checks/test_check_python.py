from __future__ import annotations

from dataclasses import replace

import pytest

from comfykit.doctor.checks.python import check
from comfykit.doctor.facts import Facts
from comfykit.doctor.interface import Status
from comfykit.doctor.sources.runtime import Python


@pytest.mark.parametrize(
    ("version", "status"),
    [
        ("3.9.18", Status.FAILURE),
        ("3.10.14", Status.FAILURE),
        ("3.11.0", Status.OK),
        ("3.11.7", Status.OK),
        ("3.14.2", Status.OK),
        ("4.0.0", Status.OK),
    ],
)
def test_version(healthy: Facts, version: str, status: Status) -> None:
    (finding,) = check(replace(healthy, python=Python(version, "/opt/python")))
    assert finding.status is status
    assert version in finding.message
    assert "/opt/python" in finding.message
