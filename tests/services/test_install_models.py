"""Planning and fetching a whole list."""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Mapping
from pathlib import Path

import pytest

from comfykit.errors import FetchError, TransferError, UsageError
from comfykit.events import Event, Reporter, TransferEnded, Warned
from comfykit.fetch.backend import Job, Received
from comfykit.fetch.guide import Guide
from comfykit.fetch.hf_cache import HfCache
from comfykit.fetch.index import open_index
from comfykit.fetch.mirrors import read_mirrors
from comfykit.fetch.partial import Partial
from comfykit.fetch.provenance import provenances
from comfykit.services.arrivals import Arrivals
from comfykit.services.install_models import install_models
from comfykit.services.plan_models import action, plan_models
from comfykit.settings import Settings, resolve
from fetch_support import PAGE, files_below, safetensors, sha256

A, B = safetensors(100, 1), safetensors(200, 2)


class FakeBackend:
    """Serves a table; counts how many files are on their way at once."""

    name = "fake"

    def __init__(self, table: Mapping[str, bytes]) -> None:
        self.table = table
        self.asked: list[str] = []
        self.open = self.most_open = 0
        self.lock = threading.Lock()

    def receive(self, job: Job, partial: Partial, cancel: threading.Event, report: Reporter) -> Received:
        (source,) = job.sources
        with self.lock:
            self.asked.append(source.url)
            self.open += 1
            self.most_open = max(self.most_open, self.open)
        try:
            if source.url not in self.table:
                raise TransferError(f"no {source.url}")
            threading.Event().wait(0.02)
            data = self.table[source.url]
            os.pwrite(partial.fileno, data, 0)
            return Received(len(data), sha256(data), (source,), fetched=len(data))
        finally:
            with self.lock:
                self.open -= 1

    def close(self) -> None:
        pass


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return resolve({"home": str(tmp_path / "home"), "jobs": 2}, environment={}, cwd=tmp_path)


def manifest(*names: str, sha: str | None = None) -> bytes:
    entries = [f"https://hub/{name}\n  dir=models/vae\n" for name in names]
    return ("".join(entries) + (f"  checksum=sha-256={sha}\n" if sha else "")).encode()


def plan(settings: Settings, text: bytes, **more: object):  # type: ignore[no-untyped-def]
    return plan_models(settings.home, ["-"], stdin=io.BytesIO(text), **more)  # type: ignore[arg-type]


def test_a_plan_touches_nothing(settings: Settings) -> None:
    (step,) = plan(settings, manifest("a.safetensors"))
    assert action(step) == "fetch"
    assert step.addresses == ("https://hub/a.safetensors",)
    assert not settings.home.root.exists()


def test_what_lacks_is_fetched_and_what_fails_stops_no_other(settings: Settings) -> None:
    backend = FakeBackend({"https://hub/a.safetensors": A, "https://hub/c.safetensors": B})
    steps = plan(settings, manifest("a.safetensors", "b.safetensors", "c.safetensors"))
    events: list[Event] = []
    outcomes = install_models(settings, steps, backend=backend, reporter=events.append)
    assert [outcome.status for outcome in outcomes] == ["fetched", "failed", "fetched"]
    assert outcomes[1].note == "no https://hub/b.safetensors"
    assert files_below(settings.home.models) == {"vae/a.safetensors": A, "vae/c.safetensors": B}
    assert sum(isinstance(event, TransferEnded) for event in events) == 3


def test_a_second_run_asks_for_nothing(settings: Settings) -> None:
    backend = FakeBackend({"https://hub/a.safetensors": A})
    text = manifest("a.safetensors", sha=sha256(A))
    for status in ("fetched", "there"):
        (outcome,) = install_models(settings, plan(settings, text), backend=backend)
        assert outcome.status == status
    assert len(backend.asked) == 1


def test_another_file_there_is_a_failure_and_stays(settings: Settings) -> None:
    backend = FakeBackend({"https://hub/a.safetensors": A})
    path = settings.home.models / "vae" / "a.safetensors"
    path.parent.mkdir(parents=True)
    path.write_bytes(B)
    (step,) = plan(settings, manifest("a.safetensors", sha=sha256(A)))
    assert action(step) == "conflict"
    (outcome,) = install_models(settings, [step], backend=backend)
    assert (outcome.status, outcome.code) == ("failed", "conflict")
    assert sha256(B) in outcome.note
    assert path.read_bytes() == B
    assert backend.asked == []


@pytest.mark.parametrize("broken", [b"", PAGE, A[:-1]])
def test_a_broken_file_is_fetched_again_with_a_warning(settings: Settings, broken: bytes) -> None:
    path = settings.home.models / "vae" / "a.safetensors"
    path.parent.mkdir(parents=True)
    path.write_bytes(broken)
    events: list[Event] = []
    steps = plan(settings, manifest("a.safetensors"), reporter=events.append)
    assert isinstance(events[0], Warned)
    assert "fetched again" in events[0].message
    install_models(settings, steps, backend=FakeBackend({"https://hub/a.safetensors": A}))
    assert path.read_bytes() == A


def test_only_selects_by_path_and_name(settings: Settings) -> None:
    text = manifest("a.safetensors", "b.pt") + b"https://hub/c\n  dir=loras\n  out=sub/c.pt\n"
    for globs, names in (
        (["a.safetensors"], ["vae/a.safetensors"]),
        (["*.pt"], ["vae/b.pt", "loras/sub/c.pt"]),
        (["vae/*"], ["vae/a.safetensors", "vae/b.pt"]),
        (["models/loras/*"], ["loras/sub/c.pt"]),
        (["sub/c.pt", "b.*"], ["vae/b.pt", "loras/sub/c.pt"]),
    ):
        assert [str(step.entry.target) for step in plan(settings, text, only=globs)] == names


def test_a_glob_that_matches_nothing_cannot_be_used(settings: Settings) -> None:
    with pytest.raises(UsageError, match="matches none of the 1 entries"):
        plan(settings, manifest("a.safetensors"), only=["*.safetensors", "b*"])


def test_a_folder_that_leads_out_is_refused_before_a_byte_is_fetched(
    settings: Settings, tmp_path: Path
) -> None:
    (tmp_path / "out").mkdir()
    settings.home.models.mkdir(parents=True)
    (settings.home.models / "vae").symlink_to(tmp_path / "out")
    with pytest.raises(FetchError, match="outside of"):
        plan(settings, manifest("a.safetensors") + b"https://hub/b.pt\n  dir=loras\n")


def test_files_come_at_the_same_time_but_never_more_than_jobs(settings: Settings) -> None:
    names = [f"{index}.safetensors" for index in range(8)]
    backend = FakeBackend({f"https://hub/{name}": A for name in names})
    outcomes = install_models(settings, plan(settings, manifest(*names)), backend=backend)
    assert [outcome.entry.name for outcome in outcomes] == names
    assert backend.most_open == 2


def test_an_error_of_our_own_is_not_swallowed(settings: Settings) -> None:
    class Broken:
        def receive(self, *arguments: object) -> None:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        install_models(settings, plan(settings, manifest("a.safetensors")), backend=Broken())  # type: ignore[arg-type]


def test_rules_rewrite_what_is_asked_and_not_what_is_named(settings: Settings) -> None:
    guide = Guide(read_mirrors("https://hub/=http://127.0.0.1:8/hub/"))
    (step,) = plan(settings, manifest("a.safetensors"), guide=guide)
    assert step.addresses == ("http://127.0.0.1:8/hub/a.safetensors",)
    assert step.entry.urls == ("https://hub/a.safetensors",)
    backend = FakeBackend({"http://127.0.0.1:8/hub/a.safetensors": A})
    (outcome,) = install_models(settings, [step], backend=backend, guide=guide)
    assert (outcome.status, outcome.host) == ("fetched", "127.0.0.1:8")


def test_what_came_is_noted_with_its_hash_and_its_source(settings: Settings) -> None:
    names = [f"{number}.safetensors" for number in range(5)]
    backend = FakeBackend({f"https://hub/{name}": A for name in names[:-1]})
    install_models(settings, plan(settings, manifest(*names)), backend=backend)
    kept = provenances(settings.home)
    assert sorted(kept) == [f"vae/{name}" for name in names[:-1]]
    assert kept["vae/0.safetensors"].urls == ("https://hub/0.safetensors",)
    index = open_index(settings.home)
    assert {index.known(settings.home.models / "vae" / name) for name in names[:-1]} == {sha256(A)}


def test_notes_of_a_long_run_are_written_while_it_runs(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("comfykit.services.arrivals._WRITE_SECONDS", 0.0)
    arrivals = Arrivals(settings.home, open_index(settings.home))
    (step,) = plan(settings, manifest("a.safetensors"))
    arrivals.add(step.entry, len(A), sha256(A))
    assert list(provenances(settings.home)) == ["vae/a.safetensors"]


def test_a_link_that_goes_wrong_is_fetched_instead(settings: Settings, tmp_path: Path) -> None:
    blob = tmp_path / "hub" / "models--o--r" / "blobs" / sha256(A)
    blob.parent.mkdir(parents=True)
    blob.write_bytes(B)
    backend, events = FakeBackend({"https://hub/a.safetensors": A}), []
    steps = plan(settings, manifest("a.safetensors", sha=sha256(A)), cache=HfCache(tmp_path / "hub"))
    assert action(steps[0]) == "link"
    (outcome,) = install_models(settings, steps, backend=backend, reporter=events.append)
    assert outcome.status == "fetched"
    warned = next(event for event in events if isinstance(event, Warned))
    assert warned.message.endswith("fetched instead")
    assert (settings.home.models / "vae" / "a.safetensors").read_bytes() == A
