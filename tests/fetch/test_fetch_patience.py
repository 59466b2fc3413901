"""Waiting, giving up, and who is asked to wait: retry, patience, lines, gates and the limit of speed."""

from __future__ import annotations

import os
import socket
import threading
import time
from pathlib import Path

import pytest

from comfykit.errors import FetchError, Interrupted, TransferError, VerificationError
from comfykit.fetch.answers import Identity, same_object
from comfykit.fetch.hasher import Hasher
from comfykit.fetch.headers import Headers
from comfykit.fetch.limits import MIB, Limits
from comfykit.fetch.line import Line, Phase
from comfykit.fetch.patience import Patience
from comfykit.fetch.rate import Gates, Throttle
from comfykit.fetch.retry import TABLE, Cause, cause_of, fault, joined, pause, read_retry_after
from fetch_support import sha256

BROKEN = fault(Cause.BROKEN, "broke")


def test_every_cause_has_an_action() -> None:
    assert set(TABLE) == set(Cause)
    assert cause_of(BROKEN) is Cause.BROKEN
    assert cause_of(VerificationError("other bytes")) is Cause.WRONG


@pytest.mark.parametrize(
    ("fields", "seconds"),
    [
        ({"Retry-After": "3"}, 3.0),
        ({"retry-after": " 120 "}, 120.0),
        ({"Retry-After": "Thu, 01 Jan 1970 00:16:45 GMT"}, 5.0),
        ({"Retry-After": "Thu, 01 Jan 1970 00:00:00 GMT"}, 0.0),
        ({"Retry-After": "-5"}, None),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "1" * 400}, 1111111111.0),
        ({"RateLimit": '"resolvers";r=0;t=55'}, 55.0),
        ({"RateLimit": '"api";r=0'}, None),
        ({}, None),
    ],
)
def test_what_a_server_asks_to_wait(fields: dict[str, str], seconds: float | None) -> None:
    assert read_retry_after(Headers(list(fields.items())), now=lambda: 1000.0) == seconds


def test_pauses_double_up_to_the_longest_and_what_a_server_says_counts_more() -> None:
    pauses = [pause(BROKEN, strike, 0.5, 5.0, lambda: 1.0) for strike in (1, 2, 3, 4, 5, 99)]
    assert pauses == [0.5, 1.0, 2.0, 4.0, 5.0, 5.0]
    assert pause(BROKEN, 2, 0.5, 5.0, lambda: 0.0) == 0.5
    assert pause(fault(Cause.BUSY, "later", wait=2.5), 9, 0.5, 5.0) == 2.5
    assert pause(fault(Cause.BUSY, "later", wait=1e9), 1, 0.5, 5.0) == 5.0
    assert pause(fault(Cause.BUSY, "later", wait=None), 1, 0.5, 5.0, lambda: 1.0) == 0.5


def strikes(patience: Patience, count: int, *, idle: bool = True, step: int = 0) -> list[bool]:
    """Whether the source may go on after each of some failures, `step` bytes apart."""
    return [
        patience.strike(BROKEN, time.monotonic(), fetched, idle=idle) is not None
        for fetched in (number * step for number in range(count))
    ]


def test_failures_in_a_row_are_counted() -> None:
    limits = Limits(tries=3)
    assert strikes(Patience(limits, 3), 3) == [True, True, False]
    assert strikes(Patience(limits, 1), 1) == [False]
    assert strikes(Patience(limits, 1), 3, idle=False) == [True, True, False]
    assert strikes(Patience(limits, 3), 9, step=MIB) == [True] * 9


def test_connections_that_broke_together_are_one_failure() -> None:
    patience, began = Patience(Limits(tries=2), 2), time.monotonic()
    assert all(patience.strike(BROKEN, began, 0, idle=True) is not None for _ in range(9))


def test_a_long_wait_is_not_waited_where_there_are_others() -> None:
    later = fault(Cause.BUSY, "later", wait=60.0)
    assert Patience(Limits(), 2).strike(later, 0.0, 0, idle=True) is None
    assert Patience(Limits(), Limits().tries).strike(later, 0.0, 0, idle=True) == 60.0


LIMITS = Limits(answer_seconds=5, silence_seconds=10, slow_rate=100, slow_seconds=20)


def test_a_line_is_judged_by_what_it_waits_for() -> None:
    line = Line()
    now = time.monotonic()
    assert line.judge(LIMITS, now + 1000) is None
    line.enter(Phase.ASKING, "hub")
    assert line.judge(LIMITS, now + 4) is None
    assert "did not answer within 5 s" in str(line.judge(LIMITS, now + 6))
    line.enter(Phase.READING)
    assert line.judge(LIMITS, now + 9) is None
    assert "hub: nothing arrived" in str(line.judge(LIMITS, now + 11))


def test_a_trickle_is_judged_over_its_window(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    line = Line()
    line.enter(Phase.READING, "hub")
    for second in range(1, 60):
        now[0] = float(second)
        line.arrived(150 if second <= 20 else 50)
        error = line.judge(LIMITS, now[0])
        if error is not None:
            break
    assert now[0] == 40
    assert "hub sent only 1000 bytes in 20 s" in str(error)


def test_ending_a_line_wakes_its_reader() -> None:
    ours, theirs = socket.socketpair()
    line, woken = Line(), threading.Event()
    line.hold(ours)
    thread = threading.Thread(target=lambda: (ours.recv(1), woken.set()))
    thread.start()
    line.end(TransferError("too slow"))
    assert woken.wait(5)
    thread.join()
    with pytest.raises(TransferError, match="too slow"):
        line.check()
    with pytest.raises(TransferError, match="too slow"):
        line.hold(theirs)
    ours.close()
    theirs.close()


def test_a_gate_lets_so_many_pass_and_none_while_it_is_held() -> None:
    gates, stop = Gates(2), threading.Event()
    with gates.passing("a", stop) as first, gates.passing("a", stop) as second:
        assert first
        assert second
        with gates.passing("b", stop) as other:
            assert other
        threading.Timer(0.1, stop.set).start()
        with gates.passing("a", stop) as third:
            assert not third
    gates.hold("a", 60)
    assert gates.held("a") == pytest.approx(60, abs=1)
    assert gates.held("b") == 0
    with gates.passing("a", stop) as passed:
        assert not passed


def test_bytes_are_paid_for_in_turn() -> None:
    stop = threading.Event()
    stop.set()  # nobody waits
    throttle = Throttle(100.0)
    assert throttle.spend(50, stop) == pytest.approx(0.5, abs=0.1)
    assert throttle.spend(50, stop) == pytest.approx(1.0, abs=0.1)
    assert Throttle(None).spend(10**12, stop) == 0


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        (Identity(1), Identity(2), False),
        (Identity(1, etag="a"), Identity(1, etag="a"), True),
        (Identity(1, etag="a"), Identity(1, etag="b"), False),
        (Identity(1, etag="a", sha256="s"), Identity(1, etag="b", sha256="s"), True),
        (Identity(1, etag="a", sha256="s"), Identity(1, etag="a", sha256="t"), False),
        (Identity(1, modified="then"), Identity(1, modified="then"), True),
        (Identity(1, modified="then"), Identity(1, modified="now"), False),
        (Identity(1, etag="a"), Identity(1, modified="now"), None),
        (Identity(1), Identity(1), None),
    ],
)
def test_whether_two_answers_are_of_one_file(old: Identity, new: Identity, same: bool | None) -> None:
    assert same_object(old, new) is same


def test_a_hash_follows_what_is_there(tmp_path: Path) -> None:
    data = bytes(range(256)) * 10_000
    with (tmp_path / "m").open("w+b", buffering=0) as file:
        hasher, cancel = Hasher(file.fileno()), threading.Event()
        for end in (10, 1_000_000, len(data)):
            os.pwrite(file.fileno(), data[:end], 0)
            hasher.reach(end)
        assert hasher.digest(len(data), cancel) == sha256(data)
        hasher.close()
        short = Hasher(file.fileno())
        with pytest.raises(OSError, match="ends after"):
            short.digest(len(data) + 1, cancel)
        short.close()


def test_a_cancelled_run_does_not_wait_for_a_hash(tmp_path: Path) -> None:
    cancel = threading.Event()
    cancel.set()
    with (tmp_path / "m").open("w+b") as file:
        file.truncate(10**9)
        hasher = Hasher(file.fileno())
        with pytest.raises(Interrupted):
            hasher.digest(10**9, cancel)
        hasher.close()


def test_several_failures_are_one_error() -> None:
    one = TransferError("a: gone", hint="look elsewhere")
    assert joined([one]) is one
    both = joined([one, TransferError("b: gone"), TransferError("a: gone")])
    assert (str(both), both.hint, type(both)) == ("a: gone; b: gone", "look elsewhere", TransferError)
    assert type(joined([VerificationError("a"), VerificationError("b")])) is VerificationError
    assert isinstance(joined([VerificationError("a"), one]), FetchError)
