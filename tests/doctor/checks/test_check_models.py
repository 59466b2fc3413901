from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from comfykit.doctor.checks.models import check
from comfykit.doctor.facts import Facts
from comfykit.doctor.interface import Status
from comfykit.doctor.sources.models import Broken, Leftover, Models

FIRST, SECOND = Path("/m/a.safetensors"), Path("/m/b.safetensors")


def test_each_broken_file_is_a_failure_with_its_path_said_once(healthy: Facts) -> None:
    broken = (Broken(FIRST, f"{FIRST}: cut off"), Broken(SECOND, "an HTML page"))
    first, second, rest = check(replace(healthy, models=Models(read=5, broken=broken)))
    assert (first.status, first.message) == (Status.FAILURE, f"{FIRST}: cut off")
    assert (second.status, second.message) == (Status.FAILURE, f"{SECOND}: an HTML page")
    assert first.hint == "remove it and fetch it again: comfykit install-models MANIFEST"
    assert (rest.status, rest.message) == (Status.OK, "3 safetensors files with a sound header")


def test_a_file_that_the_disk_would_not_give_is_not_to_be_removed(healthy: Facts) -> None:
    broken = Broken(FIRST, f"{FIRST} cannot be read: Permission denied", opened=False)
    first, _ = check(replace(healthy, models=Models(read=2, broken=(broken,))))
    assert first.status is Status.FAILURE
    assert first.hint == "make it readable for this user"


def test_nothing_sound_is_not_called_ok(healthy: Facts) -> None:
    findings = list(check(replace(healthy, models=Models(read=1, broken=(Broken(FIRST, "cut off"),)))))
    assert [finding.status for finding in findings] == [Status.FAILURE]


def test_no_files_yet(healthy: Facts) -> None:
    (finding,) = check(replace(healthy, models=Models()))
    assert (finding.status, finding.message) == (Status.OK, "no safetensors files yet")


def test_files_that_time_did_not_allow_are_counted(healthy: Facts) -> None:
    (finding,) = check(replace(healthy, models=Models(read=1, unread=7)))
    assert finding.message == "1 safetensors file with a sound header; for 7 more there was no time"


def test_leftovers_share_a_warning(healthy: Facts) -> None:
    leftovers = tuple(Leftover(Path(f"/m/{name}.part"), 2**30) for name in "abcde")
    warning, _ = check(replace(healthy, models=Models(read=1, leftovers=leftovers)))
    assert warning.status is Status.WARNING
    assert warning.message == (
        "5 partial files of 5.0 GiB untouched for a day: /m/a.part, /m/b.part, /m/c.part, 2 more"
    )
