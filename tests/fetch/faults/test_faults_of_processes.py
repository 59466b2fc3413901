"""A process that is killed, interrupted, or not alone."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest
from fault_answers import begin
from fault_process import finish, start
from fault_server import Exchange, Site
from fault_stage import NAME, Stage, check_home, entry
from stored_file import Stored, model

DATA = model(4_000_000)
TEN = {f"models/checkpoints/{n}.safetensors": model(6_000_000, seed=n) for n in range(10)}
SIZES = sum(map(len, TEN.values()))
# A killed process loses what it had read and not yet noted, about a tenth of a second's bytes. So the
# server is slow, and each process lives long enough for that to be a small part of what it fetches.
SECONDS = 2.0
CONNECTIONS = 16
PATIENT = {"silence_seconds": 60.0, "slow_seconds": 60.0}


def publish(stage: Stage, site: Site, rate: float | None) -> Path:
    """A manifest of ten files on a site that gives them at this rate."""
    entries = []
    for path, data in TEN.items():
        name = Path(path).name
        site.routes[f"/{name}"] = Stored(data, rate=rate)
        entries.append(entry(f"{site.url}/{name}", name=name, data=data))
    return stage.write(*entries)


@pytest.mark.parametrize("kills", [8, pytest.param(50, marks=pytest.mark.slow)])
def test_killed_many_times_and_then_left_alone(stage: Stage, kills: int) -> None:
    """Ten right files in the end, and hardly a byte fetched twice."""
    site, chance = stage.site(), random.Random(kills)
    each = 0.6 * SIZES / kills  # bytes that a process gets on the average
    manifest = publish(stage, site, each / SECONDS / CONNECTIONS)
    for _ in range(kills):
        stage.capture.asked.clear()
        enough = stage.capture.total() + chance.uniform(0, 2 * each)
        process = start(stage, manifest, slow_rate=1000)
        if chance.random() < 0.1:
            time.sleep(chance.uniform(0, 0.5))  # it has hardly begun
        else:
            assert stage.capture.asked.wait(60)
            while stage.capture.total() < enough:
                time.sleep(0.005)
        assert process.poll() is None
        process.kill()
        process.communicate(timeout=30)
        check_home(stage, TEN)
    killed = stage.capture.total()
    publish(stage, site, None)
    finished = finish(start(stage, manifest))
    assert finished.code == 0, finished.told()
    assert {path: data for path, data in stage.files().items() if path in TEN} == TEN
    check_home(stage, TEN)
    assert SIZES / 4 < killed < SIZES  # there was something to keep, and something left to do
    assert stage.capture.total() <= 1.1 * SIZES


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("rate", [500_000.0, 1.0], ids=["while bytes come", "while none come"])
def test_interrupted_it_ends_at_once_and_goes_on_later(
    stage: Stage, number: signal.Signals, rate: float
) -> None:
    site = stage.site()
    site.routes["/m"] = Stored(DATA, rate=rate)
    manifest = stage.write(entry(f"{site.url}/m", data=DATA))
    process = start(stage, manifest)
    assert stage.capture.asked.wait(30)
    while rate > 1 and stage.capture.sent["/m"] < 500_000:
        time.sleep(0.01)
    process.send_signal(number)
    finished = finish(process, seconds=20)  # the server would take longer
    assert finished.code in ((130,) if number is signal.SIGINT else (143, -15))
    assert "Traceback" not in finished.err
    check_home(stage, {})
    before = stage.capture.sent["/m"]
    site.routes["/m"] = Stored(DATA)
    finished = finish(start(stage, manifest))
    assert finished.code == 0, finished.told()
    assert stage.path().read_bytes() == DATA
    check_home(stage, {NAME: DATA})
    if rate > 1 and number is signal.SIGINT:
        assert before + stage.capture.sent["/m"] <= len(DATA) * 2


class Gate:
    """A stored file of which the second half comes when it may."""

    def __init__(self, stored: Stored) -> None:
        self.stored, self.open = stored, threading.Event()

    def __call__(self, exchange: Exchange) -> None:
        first, last = self.stored.span(exchange) or (0, len(DATA))
        middle = max(first, min(last, len(DATA) // 2))
        begin(self.stored, exchange)
        exchange.body(memoryview(DATA)[first:middle])
        if middle < last:
            exchange.wait_for(self.open)
        exchange.body(memoryview(DATA)[middle:last])


def start_two(stage: Stage, gate: Gate) -> tuple[subprocess.Popen[str], subprocess.Popen[str], str]:
    """Two processes with one target: one that has about half of it, and one that has said that it waits."""
    site = stage.site()
    site.routes["/m"] = gate
    manifest = stage.write(entry(f"{site.url}/m", data=DATA))
    first = start(stage, manifest, **PATIENT)
    while stage.capture.sent["/m"] < len(DATA) // 2:
        time.sleep(0.01)
        assert first.poll() is None
    second, said = start(stage, manifest, **PATIENT), ""
    assert second.stdout
    while "another process" not in said:
        line = second.stdout.readline()
        assert line, said
        said += line
    return first, second, said


def test_two_processes_with_one_target_fetch_it_once(stage: Stage) -> None:
    gate = Gate(Stored(DATA))
    first, second, _ = start_two(stage, gate)
    gate.open.set()
    ends = [finish(first), finish(second)]
    assert [end.code for end in ends] == [0, 0], ends
    assert [end.file()["status"] for end in ends] == ["fetched", "there"]
    assert stage.path().read_bytes() == DATA
    check_home(stage, {NAME: DATA})
    assert stage.capture.sent["/m"] < 1.5 * len(
        DATA
    )  # not twice, but pieces that changed hands were on their way


def test_a_process_that_waits_takes_over_from_one_that_is_killed(stage: Stage) -> None:
    gate = Gate(Stored(DATA))
    first, second, _ = start_two(stage, gate)
    time.sleep(0.3)  # what has come is noted
    first.kill()
    first.communicate(timeout=30)
    gate.open.set()
    finished = finish(second)
    assert finished.code == 0, finished.told()
    assert stage.path().read_bytes() == DATA
    check_home(stage, {NAME: DATA})
    assert stage.capture.sent["/m"] < 1.5 * len(
        DATA
    )  # which a second fetching of the first half would exceed


def name_of(descriptor: int) -> str:
    return str(Path(f"/proc/self/fd/{descriptor}").readlink())


def test_the_journal_never_claims_as_flushed_what_was_not(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a power cut a partial file has what was flushed and perhaps nothing else."""
    import os

    flushed: dict[int, bytes] = {}  # by inode, what was on the disk after the last flush
    claims: list[bool] = []
    flush, write = os.fdatasync, os.write

    def remember(descriptor: int) -> None:
        flush(descriptor)
        status = os.fstat(descriptor)
        if name_of(descriptor).endswith(".part"):
            flushed[status.st_ino] = os.pread(descriptor, status.st_size, 0)

    def compare(descriptor: int, data: bytes) -> int:
        name = name_of(descriptor)
        if name.endswith(".part.json") and data.startswith(b'{"flushed"'):
            held = flushed.get(Path(name.removesuffix(".json")).stat().st_ino, b"")
            for begin, end in json.loads(data)["flushed"]:
                claims.append(held[begin:end] == DATA[begin:end])
        return write(descriptor, data)

    monkeypatch.setattr(os, "fdatasync", remember)
    monkeypatch.setattr(os, "write", compare)
    site = stage.site()
    site.routes["/m"] = Stored(DATA, rate=1_000_000)
    finished = stage.run(stage.write(entry(f"{site.url}/m", data=DATA)))
    assert finished.code == 0, finished.told()
    assert claims
    assert all(claims)
