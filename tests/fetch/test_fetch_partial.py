"""The partial file and its lock."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from comfykit.errors import FetchError, Interrupted
from comfykit.fetch.partial import claim


def never() -> None:
    raise AssertionError("nobody holds the file")


def test_a_published_file_is_whole_and_alone(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "a.pt"
    with claim(target, threading.Event(), never) as partial:
        partial.file.write(b"old and longer")
        partial.restart()
        partial.file.write(b"new")
        assert not target.exists()
        partial.sync()
        partial.publish()
    assert target.read_bytes() == b"new"
    assert list(target.parent.iterdir()) == [target]


def test_an_unpublished_file_is_removed(tmp_path: Path) -> None:
    with claim(tmp_path / "a.pt", threading.Event(), never) as partial:
        partial.file.write(b"half")
        assert len(list(tmp_path.iterdir())) == 1
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_is_taken_over(tmp_path: Path) -> None:
    (tmp_path / ".a.pt.part").write_bytes(b"left behind")
    with claim(tmp_path / "a.pt", threading.Event(), never) as partial:
        partial.restart()
        partial.publish()
    assert (tmp_path / "a.pt").read_bytes() == b""


def test_a_second_owner_waits_for_the_first(tmp_path: Path) -> None:
    target, waiting, order = tmp_path / "a.pt", threading.Event(), []

    def second() -> None:
        with claim(target, threading.Event(), waiting.set):
            order.append(target.read_bytes())

    with claim(target, threading.Event(), never) as partial:
        thread = threading.Thread(target=second)
        thread.start()
        assert waiting.wait(5)
        partial.file.write(b"first")
        partial.sync()
        partial.publish()
    thread.join(5)
    assert order == [b"first"]
    assert target.read_bytes() == b"first"


def test_waiting_ends_when_the_run_is_cancelled(tmp_path: Path) -> None:
    cancel = threading.Event()
    with (
        claim(tmp_path / "a.pt", threading.Event(), never),
        pytest.raises(Interrupted),
        claim(tmp_path / "a.pt", cancel, cancel.set),
    ):
        pass


@pytest.mark.parametrize("make", [lambda path: path.symlink_to("/etc/hostname"), os.mkfifo])
def test_a_trap_in_its_place_is_never_written_through(tmp_path: Path, make: object) -> None:
    make(tmp_path / ".a.pt.part")  # type: ignore[operator]
    with pytest.raises((OSError, FetchError)), claim(tmp_path / "a.pt", threading.Event(), never):
        pass
