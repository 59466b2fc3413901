from __future__ import annotations

from dataclasses import replace

import pytest

from comfykit.doctor.checks.memory import check
from comfykit.doctor.facts import Facts
from comfykit.doctor.interface import Status
from comfykit.doctor.sources.memory import Memory

GIB = 2**30


@pytest.mark.parametrize(
    ("memory", "status", "words"),
    [
        (Memory(32 * GIB, 20 * GIB), Status.OK, "32.0 GiB, 20.0 GiB available"),
        (Memory(8 * GIB, 4 * GIB), Status.OK, "8.0 GiB, 4.0 GiB available"),
        (Memory(6 * GIB, 5 * GIB), Status.WARNING, "too little for SDXL"),
        (Memory(32 * GIB, 3 * GIB), Status.WARNING, "other programs use the rest"),
        (Memory(4 * GIB, 3 * GIB, limited=True), Status.WARNING, "4.0 GiB that the container allows"),
        (Memory(16 * GIB, 9 * GIB, limited=True), Status.OK, "16.0 GiB that the container allows"),
    ],
)
def test_memory(healthy: Facts, memory: Memory, status: Status, words: str) -> None:
    (finding,) = check(replace(healthy, memory=memory))
    assert finding.status is status
    assert words in finding.message


def test_the_hint_names_the_container_where_it_is_the_limit(healthy: Facts) -> None:
    (finding,) = check(replace(healthy, memory=Memory(4 * GIB, 3 * GIB, limited=True)))
    assert finding.hint is not None
    assert "container" in finding.hint
