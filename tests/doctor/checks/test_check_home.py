from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from comfykit.doctor.checks.home import check
from comfykit.doctor.facts import Facts
from comfykit.doctor.interface import Status
from comfykit.doctor.sources.storage import Storage

HOME = Path("/home/ann/comfykit")
GIB = 2**30


@pytest.mark.parametrize(
    ("storage", "status", "words"),
    [
        (Storage(HOME, HOME, None, 50 * GIB), Status.OK, str(HOME)),
        (Storage(HOME, HOME.parent, None, 50 * GIB), Status.OK, "comfykit install-models will make it"),
        (Storage(HOME, HOME, f"{HOME}: Read-only file system", 50 * GIB), Status.FAILURE, "Read-only"),
        (
            Storage(HOME, HOME.parent, "/home is not yours", 50 * GIB),
            Status.FAILURE,
            f"{HOME} cannot be made",
        ),
    ],
)
def test_the_folder(healthy: Facts, storage: Storage, status: Status, words: str) -> None:
    folder, _ = check(replace(healthy, storage=storage))
    assert folder.check == "home"
    assert folder.status is status
    assert words in folder.message
    assert (folder.hint is None) is (status is Status.OK)


@pytest.mark.parametrize(
    ("free", "status"),
    [
        (None, Status.WARNING),
        (0, Status.FAILURE),
        (GIB - 1, Status.FAILURE),
        (GIB, Status.WARNING),
        (20 * GIB - 1, Status.WARNING),
        (20 * GIB, Status.OK),
    ],
)
def test_the_disk(healthy: Facts, free: int | None, status: Status) -> None:
    _, disk = check(replace(healthy, storage=Storage(HOME, HOME, None, free)))
    assert disk.check == "disk"
    assert disk.status is status
