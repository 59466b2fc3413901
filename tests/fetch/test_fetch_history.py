"""What is remembered of hosts, and the order it makes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from comfykit.fetch.history import MAX_HOSTS, History, open_history
from comfykit.fetch.retry import Cause, fault

A, B, C = "https://a/x", "https://b/x", "https://c/x"


def order(history: History, *urls: str) -> list[str]:
    return history.order(urls, lambda url: url)


def test_hosts_that_nobody_has_seen_keep_their_order() -> None:
    assert order(History(), B, A, C) == [B, A, C]


def test_the_fast_come_first_and_the_slow_behind_the_unknown() -> None:
    history = History()
    history.worked(C, latency=0.05, speed=100e6)
    history.worked(A, latency=0.05, speed=1e6)
    assert order(history, A, B, C) == [C, B, A]


def test_small_differences_change_no_order() -> None:
    history = History()
    history.worked(A, speed=50e6)
    history.worked(B, speed=55e6)
    assert order(history, A, B) == [A, B]


def test_failures_are_avoided_and_forgiven_with_time() -> None:
    now = 1000.0
    history = History(clock=lambda: now)
    history.failed(A)
    assert order(history, A, B) == [B, A]
    now += 2 * 3600
    assert order(history, A, B) == [A, B]


@pytest.mark.parametrize("cause", [Cause.REFUSED, Cause.MISSING, Cause.CHANGED])
def test_a_file_that_a_host_may_not_give_says_nothing_of_the_host(cause: Cause) -> None:
    history = History()
    history.failed(A, fault(cause, "no"))
    assert order(history, A, B) == [A, B]
    history.failed(A, fault(Cause.STALLED, "slow"))
    assert order(history, A, B) == [B, A]


def test_a_success_after_a_failure_counts() -> None:
    history = History(clock=lambda: 5.0)
    history.failed(A)
    history.worked(A, speed=10e6)
    history.worked(A, speed=10e6)
    assert order(history, A, B) == [A, B]


def test_it_is_kept_across_runs_and_joined_with_what_others_wrote(tmp_path: Path) -> None:
    path = tmp_path / "cache" / "hosts.json"
    first, second = History(path), History(path)
    first.worked(A, latency=0.1, speed=1e6)
    second.worked("https://b:8443/y?token=hush", speed=90e6)
    first.save()
    second.save()
    third = History(path)
    known = third.seen("a")
    assert known is not None
    assert (known.latency, known.speed) == (0.1, 1e6)
    assert order(third, A, "https://b:8443/x") == ["https://b:8443/x", A]
    assert "hush" not in path.read_text()


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", '{"version": 99, "entries": {}}', '{"version": 1, "entries": {"a": {"when": "x"}}}'],
)
def test_a_file_that_cannot_be_used_is_no_history(tmp_path: Path, text: str) -> None:
    path = tmp_path / "hosts.json"
    path.write_text(text)
    history = History(path)
    assert history.seen("a") is None
    history.worked(A, speed=1e6)
    history.save()
    assert json.loads(path.read_text())["entries"]["a"]["speed"] == 1e6


@pytest.mark.parametrize("nonsense", [0.0, -1.0, float("inf"), float("nan")])
def test_nonsense_is_not_counted(nonsense: float) -> None:
    history = History()
    history.worked(A, latency=nonsense, speed=nonsense)
    seen = history.seen("a")
    assert seen is not None
    assert (seen.latency, seen.speed) == (None, None)


def test_a_folder_that_cannot_be_written_costs_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    history = History(tmp_path / "file" / "hosts.json")
    history.worked(A, speed=1e6)
    history.save()
    assert order(history, A) == [A]


def test_only_the_hosts_that_were_seen_last_are_kept(tmp_path: Path) -> None:
    now = 0.0
    history = History(tmp_path / "hosts.json", clock=lambda: now)
    for number in range(MAX_HOSTS + 5):
        now = float(number)
        history.worked(f"https://h{number}/", speed=1.0)
    history.save()
    kept = json.loads((tmp_path / "hosts.json").read_text())["entries"]
    assert len(kept) == MAX_HOSTS
    assert "h0" not in kept


def test_it_lies_in_the_user_s_cache(tmp_path: Path) -> None:
    history = open_history({"HOME": str(tmp_path)})
    history.failed(A)
    history.save()
    assert (tmp_path / ".cache" / "comfykit" / "hosts.json").is_file()
