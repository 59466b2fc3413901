"""Disks that are full, too small for a file of this size, or not to be written."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from fault_answers import begin
from fault_process import finish, start
from fault_server import Exchange
from fault_stage import NAME, Stage, check_home, entry
from stored_file import Stored, model

DATA = model(3_000_000)


def can_mount(folder: Path = Path("/mnt")) -> bool:
    """Whether this machine lets its user mount a file system of his own."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=4k", "none", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        return False
    subprocess.run(["umount", str(folder)], check=True)
    return True


@pytest.fixture
def small_disk(stage: Stage) -> Iterator[Path]:
    """A disk of 80 MiB where the home will be."""
    stage.home.mkdir()
    mounted = ["mount", "-t", "tmpfs", "-o", "size=80m", "none", str(stage.home)]
    subprocess.run(mounted, check=True)
    yield stage.home
    subprocess.run(["umount", "-l", str(stage.home)], check=True)


def test_a_file_larger_than_the_limit_of_a_file_system(stage: Stage) -> None:
    """EFBIG, as FAT says it; what came stays for a run on a disk that takes it."""
    site = stage.site()
    site.routes["/m"] = Stored(DATA)
    manifest = stage.write(entry(f"{site.url}/m", data=DATA))
    failed = finish(start(stage, manifest, largest_file=1_500_000))
    assert failed.code == 1, failed.told()
    assert "Traceback" not in failed.err
    assert "written" in failed.told()
    check_home(stage, {})
    finished = finish(start(stage, manifest))
    assert finished.code == 0, finished.told()
    assert stage.path().read_bytes() == DATA
    assert stage.capture.sent["/m"] <= 1.2 * len(DATA)


if can_mount():

    def test_a_disk_that_fills_up_in_the_middle(stage: Stage, small_disk: Path) -> None:
        """Somebody else takes the room: it ends with words, and goes on once there is room again."""
        ballast = small_disk / ".comfykit" / "ballast"
        stored, filling = Stored(DATA), threading.Lock()

        def fill(exchange: Exchange) -> None:
            first, last = stored.span(exchange) or (0, len(DATA))
            if last - first < 10_000:  # a look at the file
                stored(exchange)
                return
            begin(stored, exchange)
            middle = (first + last) // 2
            exchange.body(memoryview(DATA)[first:middle])
            with filling:
                if not ballast.exists():
                    ballast.parent.mkdir(exist_ok=True)
                    with pytest.raises(OSError, match="No space"):
                        ballast.write_bytes(bytes(90_000_000))
            exchange.body(memoryview(DATA)[middle:last])

        site = stage.site()
        site.routes["/m"] = fill
        manifest = stage.write(entry(f"{site.url}/m", data=DATA))
        failed = stage.run(manifest)
        assert failed.code == 1
        assert "room" in failed.told()
        check_home(stage, {})
        ballast.unlink()
        site.routes["/m"] = stored
        finished = stage.run(manifest)
        assert finished.code == 0, finished.told()
        assert stage.path().read_bytes() == DATA
        check_home(stage, {NAME: DATA})

    def test_a_disk_without_room_is_said_before_a_byte_is_fetched(stage: Stage, small_disk: Path) -> None:
        site = stage.site()
        large = model(20_000_000)
        site.routes["/m"] = Stored(large)
        failed = stage.run(stage.write(entry(f"{site.url}/m", data=large)))
        assert failed.code == 1
        assert "free" in failed.told()
        assert stage.capture.sent["/m"] < 10_000
        check_home(stage, {})

    def test_a_disk_that_is_read_only_costs_no_bytes(stage: Stage, small_disk: Path) -> None:
        site = stage.site()
        site.routes["/m"] = Stored(DATA)
        subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
        failed = stage.run(stage.write(entry(f"{site.url}/m", data=DATA)))
        assert failed.code == 1
        assert "Read-only" in failed.told() or "writable" in failed.told()
        assert stage.capture.sent["/m"] < 10_000


def test_a_folder_that_is_a_file_asks_nobody(stage: Stage) -> None:
    site = stage.site()
    site.routes["/m"] = Stored(DATA)
    stage.home.mkdir()
    (stage.home / "models").write_bytes(b"a file")
    failed = stage.run(stage.write(entry(f"{site.url}/m", data=DATA)))
    assert failed.code in (1, 2)
    assert stage.capture.requests == []
    assert (stage.home / "models").read_bytes() == b"a file"
