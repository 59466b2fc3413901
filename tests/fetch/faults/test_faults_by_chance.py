"""Transfers that are interrupted at random points, two hundred times: each ends with the right bytes."""

from __future__ import annotations

import json
import random
import threading
from pathlib import Path, PurePosixPath

import pytest
from fault_answers import begin
from fault_limits import QUICK
from fault_server import Exchange, Site
from fault_stage import Stage
from stored_file import Stored, model

from comfykit.errors import FetchError, Interrupted
from comfykit.events import silent
from comfykit.fetch.engine import Engine
from comfykit.fetch.entry import ManifestEntry
from comfykit.fetch.limits import Limits
from comfykit.fetch.transfer import Courier, fetch_file
from comfykit.home import Home
from fetch_support import files_below, sha256

TRIALS, BATCHES = 200, 8
BLOCK = 8192
TARGET = PurePosixPath("checkpoints/m.safetensors")


class Valve:
    """A stored file of which so many bytes come; then something happens, once or for good."""

    def __init__(self, stored: Stored) -> None:
        self.stored = stored
        self._lock = threading.Lock()
        self.open()

    def open(self, budget: int = 10**12, kind: str = "", cancel: threading.Event | None = None) -> None:
        """Let `budget` bytes through from now on."""
        with self._lock:
            self._budget, self._kind, self._cancel = budget, kind, cancel

    def __call__(self, exchange: Exchange) -> None:
        first, last = self.stored.span(exchange) or (0, len(self.stored.data))
        begin(self.stored, exchange)
        for at in range(first, last, BLOCK):
            with self._lock:
                self._budget -= BLOCK
                over, kind, cancel = self._budget < 0, self._kind, self._cancel
            if over and kind == "cancel" and cancel:
                cancel.set()
            elif over and kind == "reset":
                exchange.reset()
            elif over and kind == "end":
                exchange.hang_up()
            exchange.body(self.stored.data[at : min(at + BLOCK, last)])


class Trial:
    """One file with its home, fetched in several runs."""

    def __init__(self, root: Path, site: Site, engine: Engine, chance: random.Random) -> None:
        self.home, self.chance, self.engine = Home(root), chance, engine
        self.data = model(chance.randrange(1000, 600_000), seed=chance.randrange(10**6))
        self.checked = chance.random() < 0.5
        self.site, self.path = site, f"/{root.name}"
        self.valve = Valve(Stored(self.data, etag='"one"', ranges=chance.random() < 0.9))
        site.routes[self.path] = self.valve

    def run(self, budget: int = 10**12, kind: str = "") -> str | None:
        """One run; the words of its failure, None when the file is in place."""
        cancel = threading.Event()
        self.valve.open(budget, kind, cancel)
        url = f"{self.site.url}{self.path}"
        checksum = sha256(self.data) if self.checked else None
        entry = ManifestEntry((url,), TARGET, "list.txt", 1, sha256=checksum)
        try:
            fetch_file(entry, Courier(self.home, self.engine, silent, cancel))
        except (FetchError, Interrupted) as error:
            return str(error)
        return None

    def interrupt(self) -> None:
        """Some runs that are interrupted, with or without a power cut afterwards."""
        for _ in range(self.chance.randrange(1, 5)):
            budget = self.chance.randrange(len(self.data) * 3 // 2)
            failed = self.run(budget, self.chance.choice(["cancel", "reset", "end"]))
            if failed is None:
                assert self.files() == {str(TARGET): self.data}
                return
            assert str(TARGET) not in self.files()
            chance = self.chance.random()
            if chance < 0.25:
                self.cut_power()
            elif chance < 0.35:
                self.tear_journal()

    def files(self) -> dict[str, bytes]:
        return files_below(self.home.models)

    def cut_power(self) -> None:
        """Only what was flushed is still there; the rest of the partial file is zeros or nothing."""
        partial = (self.home.models / TARGET).with_name(f".{TARGET.name}.part")
        journal = partial.with_name(f"{partial.name}.json")
        if not journal.exists():
            partial.unlink(missing_ok=True)
            return
        lines = journal.read_text().splitlines()
        flushed = [json.loads(line)["flushed"] for line in lines[1:] if line.startswith('{"flushed"')]
        held, kept = partial.read_bytes(), bytearray(partial.stat().st_size)
        for start, end in flushed[-1]:
            kept[start:end] = held[start:end]
        partial.write_bytes(kept)
        journal.write_text("\n".join(lines).replace('"boot": "', '"boot": "another ') + "\n")

    def tear_journal(self) -> None:
        """The journal ends anywhere."""
        journal = (self.home.models / TARGET).with_name(f".{TARGET.name}.part.json")
        if journal.exists():
            whole = journal.read_bytes()
            journal.write_bytes(whole[: self.chance.randrange(len(whole))])


@pytest.mark.parametrize("batch", range(BATCHES))
def test_interrupted_anywhere_it_ends_byte_identical(batch: int, stage: Stage, tmp_path: Path) -> None:
    site = stage.site()
    engine = Engine(Limits(**{**QUICK, "tries": 2, "backoff_seconds": 0.001}))  # type: ignore[arg-type]
    try:
        for number in range(batch, TRIALS, BATCHES):
            trial = Trial(tmp_path / f"trial-{number}", site, engine, random.Random(number))
            trial.interrupt()
            failed = trial.run()
            assert failed is None, f"trial {number}: {failed}"
            assert trial.files() == {str(TARGET): trial.data}, f"trial {number}"
    finally:
        engine.close()
