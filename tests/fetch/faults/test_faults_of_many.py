"""Many small files, and a clock that jumps."""

from __future__ import annotations

import time
from collections import Counter

import pytest
from fault_answers import said
from fault_stage import NAME, Stage, check_home, entry
from stored_file import Stored, model

FILES = 100
DATA = model()


def test_many_small_files_share_connections_and_keep_their_order(stage: Stage) -> None:
    site, entries, right = stage.site(), [], {}
    for number in range(FILES):
        name = f"{number:03}.safetensors"
        data = model(100 + number, seed=number)
        right[f"models/checkpoints/{name}"] = data
        site.routes[f"/{name}"] = Stored(data, etag=f'"{number}"')
        entries.append(entry(f"{site.url}/{name}", name=name, data=data))
    finished = stage.run(stage.write(*entries), "--jobs", "4")
    assert finished.code == 0, finished.told()
    check_home(stage, right)
    assert right.items() <= stage.files().items()
    assert stage.capture.connections() <= FILES / 4
    plan = [record["file"] for record in finished.records if record["event"] == "plan"]
    assert plan == list(right)


def test_a_few_that_fail_do_not_stop_the_others(stage: Stage) -> None:
    site, entries, right = stage.site(), [], {}
    for number in range(40):
        name = f"{number:03}.safetensors"
        data = model(1000, seed=number)
        site.routes[f"/{name}"] = Stored(data) if number % 10 else said(404)
        entries.append(entry(f"{site.url}/{name}", name=name, data=data))
        if number % 10:
            right[f"models/checkpoints/{name}"] = data
    finished = stage.run(stage.write(*entries))
    assert finished.code not in (0, 2)
    check_home(stage, right)
    assert right.items() <= stage.files().items()
    ends = Counter(record["status"] for record in finished.records if record["event"] == "file")
    assert ends == {"fetched": 36, "failed": 4}


def test_a_clock_that_jumps_confuses_nothing(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """The time of day is set back and forth by years while bytes come."""
    clock, calls = time.time, [0]

    def jumping() -> float:
        calls[0] += 1
        return clock() + (-1) ** calls[0] * 3e8

    monkeypatch.setattr(time, "time", jumping)
    site = stage.site()
    site.routes["/m"] = Stored(DATA, rate=1_000_000)
    finished = stage.run(stage.write(entry(f"{site.url}/m", data=DATA)))
    assert finished.code == 0, finished.told()
    assert stage.files()[NAME] == DATA
