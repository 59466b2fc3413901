"""Speeds and times left, and the account that bars, lines and records share."""

from __future__ import annotations

import pytest

from comfykit.cli.progress_state import Progress
from comfykit.cli.rates import Rate, size_words, speed_words, time_words
from comfykit.events import TransferAdvanced, TransferEnded, TransferStarted


class Clock:
    """A clock that stands still until it is told."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_speed_is_that_of_the_last_seconds() -> None:
    clock = Clock()
    rate = Rate(clock)
    assert rate.speed is None
    for second in range(60):
        rate.add(1000 * second if second < 40 else 40_000 + 10 * (second - 40))
        clock.now += 1
    assert rate.speed == pytest.approx(10)
    assert rate.seconds_left(40_190 + 100) == pytest.approx(10)
    assert rate.seconds_left(None) is None


def test_what_was_there_before_did_not_come_now() -> None:
    clock = Clock()
    rate = Rate(clock)
    rate.add(10**9)
    assert rate.speed is None
    clock.now += 2
    rate.add(10**9 + 4000)
    assert rate.speed == pytest.approx(2000)


def test_a_file_that_starts_anew_starts_its_speed_anew() -> None:
    clock = Clock()
    rate = Rate(clock)
    rate.add(0)
    clock.now += 1
    rate.add(5000)
    rate.add(0)
    assert rate.speed is None


def test_a_clock_that_stands_still_gives_no_speed() -> None:
    rate = Rate(Clock())
    rate.add(0)
    rate.add(10)
    assert rate.speed is None
    assert rate.seconds_left(20) is None


def test_words() -> None:
    assert [size_words(size) for size in (0, 1023, 1536, 5 * 1024**3)] == [
        "0 B",
        "1023 B",
        "1.5 KiB",
        "5.0 GiB",
    ]
    assert speed_words(None) == ""
    assert speed_words(2048.0) == "2.0 KiB/s"
    assert [time_words(s) for s in (None, 9.6, 75, 3725)] == ["", "10 s", "1 min 15 s", "1 h 02 min"]


def started(progress: Progress, name: str, total: int | None, url: str = "https://hub/x") -> None:
    progress.take(TransferStarted(name, url, total))


def test_the_sum_of_all_files() -> None:
    clock = Clock()
    progress = Progress(clock)
    progress.expect(3, 10_000)
    started(progress, "a", 1000)
    started(progress, "b", 4000)
    progress.take(TransferAdvanced("a", 0))
    progress.take(TransferAdvanced("b", 3000))  # from an earlier run
    clock.now += 1
    progress.take(TransferAdvanced("a", 500))
    progress.take(TransferAdvanced("b", 3500))
    assert (progress.done, progress.total) == (4000, 10_000)
    assert progress.rate.speed == pytest.approx(1000)
    assert progress.seconds_left == pytest.approx(6)
    progress.take(TransferEnded("a", 1000))
    assert (progress.ended, progress.done, progress.total) == (1, 4500, 10_000)


def test_nobody_knows_when_files_of_unknown_size_end() -> None:
    clock = Clock()
    progress = Progress(clock)
    progress.expect(2, None)
    started(progress, "a", 1000)
    progress.take(TransferAdvanced("a", 0))
    clock.now += 1
    progress.take(TransferAdvanced("a", 500))
    assert progress.seconds_left is None
    started(progress, "b", 1000)
    assert progress.seconds_left == pytest.approx(3)


def test_a_file_that_fails_is_not_waited_for() -> None:
    progress = Progress(Clock())
    progress.expect(2, 3000)
    started(progress, "a", 1000)
    progress.take(TransferAdvanced("a", 500))
    progress.take(TransferEnded("a", 0, "refused"))
    assert (progress.ended, progress.done, progress.total) == (1, 0, 2000)


def test_another_source_takes_over_what_is_there() -> None:
    progress = Progress(Clock())
    progress.expect(1, None)
    started(progress, "a", 1000)
    progress.take(TransferAdvanced("a", 500))
    started(progress, "a", 1000, "https://mirror:8443/x")
    assert progress.files["a"].host == "mirror:8443"
    assert progress.done == 500
    started(progress, "a", 1000, "file:///elsewhere/x")
    assert progress.files["a"].host == ""


def test_an_end_without_a_start_counts() -> None:
    progress = Progress(Clock())
    progress.expect(1, None)
    progress.take(TransferEnded("a", 0, "no host answered"))
    assert (progress.ended, progress.done) == (1, 0)
