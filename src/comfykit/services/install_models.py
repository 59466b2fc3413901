"""Bringing the models of manifests into the home: read, plan, fetch."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import wait
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import BinaryIO

from comfykit.errors import FetchError, UsageError
from comfykit.events import Event, Reporter, Warned, silent
from comfykit.fetch import mirrors
from comfykit.fetch.entry import ManifestEntry
from comfykit.fetch.manifest import read_manifests
from comfykit.fetch.mirrors import Mirror
from comfykit.fetch.presence import Presence, State, inspect
from comfykit.fetch.threads import in_thread
from comfykit.fetch.transfer import Courier, fetch_file, sources
from comfykit.fetch.transport import Transport
from comfykit.home import Home
from comfykit.settings import Settings

_CLEAN_UP_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Step:
    """One file of a plan: what the manifest asks for, what is there, and where it would come from."""

    entry: ManifestEntry
    presence: Presence
    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one file: `fetched`, `there` or `failed`; `note` is a sentence for a person."""

    entry: ManifestEntry
    status: str
    note: str
    size: int = 0
    host: str | None = None
    hint: str | None = None
    code: str | None = None


def is_missing(step: Step) -> bool:
    """Whether a file has to be fetched."""
    return step.presence.state in (State.MISSING, State.BROKEN)


def action(step: Step) -> str:
    """What a plan does with a file: `fetch` it, find it `there`, or `conflict` with what lies there."""
    return "fetch" if is_missing(step) else step.presence.state.value


def mirrors_from(environment: Mapping[str, str]) -> tuple[Mirror, ...]:
    """The rewriting rules of `COMFYKIT_MIRRORS`."""
    return mirrors.read_mirrors(environment.get(mirrors.VARIABLE, ""))


def plan_models(
    home: Home,
    manifests: Sequence[str],
    *,
    only: Sequence[str] = (),
    rules: Sequence[Mirror] = (),
    stdin: BinaryIO | None = None,
    reporter: Reporter = silent,
) -> list[Step]:
    """What would be fetched for these manifests, and what is there; nothing is written or asked for.

    Raises `ManifestError` for manifests that cannot be used, `UsageError` for an `only` that matches
    nothing, and `FetchError` when a folder of the home leads out of it. `stdin` is read for the
    manifest `-`.
    """
    listing = read_manifests(manifests, stdin or io.BytesIO())
    for warning in listing.warnings:
        reporter(Warned(str(warning), warning.hint))
    entries = _selected(listing.entries, only)
    steps: list[Step] = []
    refused: list[FetchError] = []
    for entry in entries:
        try:
            presence = inspect(entry, home)
        except FetchError as error:
            refused.append(error)
            continue
        if presence.state is State.BROKEN:
            reporter(Warned(f"{presence.note}; it is fetched again"))
        steps.append(Step(entry, presence, tuple(source.url for source in sources(entry, rules))))
    if refused:
        raise FetchError("\n".join(dict.fromkeys(map(str, refused))), hint=refused[0].hint)
    return steps


def install_models(
    settings: Settings,
    steps: Sequence[Step],
    *,
    transport: Transport | None = None,
    rules: Sequence[Mirror] = (),
    reporter: Reporter = silent,
    on_outcome: Callable[[Outcome], None] = lambda outcome: None,
) -> list[Outcome]:
    """Fetch what a plan lacks, `settings.jobs` files at a time; outcomes in the plan's order.

    A file that fails does not stop the others. `reporter` and `on_outcome` are called by one thread
    at a time. Ctrl-C (KeyboardInterrupt) ends all transfers within a second and leaves nothing
    unverified under a final name.
    """
    lock = threading.Lock()
    cancel = threading.Event()
    outcomes: dict[int, Outcome] = {}

    def report(event: Event) -> None:
        with lock:
            if not cancel.is_set():
                reporter(event)

    def settle(index: int, outcome: Outcome) -> None:
        with lock:
            outcomes[index] = outcome
            on_outcome(outcome)

    missing = []
    for index, step in enumerate(steps):
        if is_missing(step):
            missing.append(index)
        else:
            settle(index, _settled(step))
    if missing:
        queue = _Queue(missing)
        with _network() if transport is None else nullcontext(transport) as carrier:
            courier = Courier(settings.home, carrier, report, cancel, rules)

            def work() -> None:
                for index in queue:
                    settle(index, _fetch(steps[index], courier))

            _run(min(settings.jobs, len(missing)), work, cancel)
    return [outcomes[index] for index in range(len(steps))]


class _Queue:
    """An iterator that several threads may take from."""

    def __init__(self, items: Sequence[int]) -> None:
        self._items = iter(items)
        self._lock = threading.Lock()

    def __iter__(self) -> Iterator[int]:
        return self

    def __next__(self) -> int:
        with self._lock:
            return next(self._items)


def _run(jobs: int, work: Callable[[], object], cancel: threading.Event) -> None:
    """Run `work` in several threads until all are done; raises what one of them raised."""
    threads = [in_thread(work) for _ in range(jobs)]
    try:
        wait(threads)
    except KeyboardInterrupt:
        cancel.set()
        wait(threads, timeout=_CLEAN_UP_SECONDS)
        raise
    for thread in threads:
        thread.result()


def _fetch(step: Step, courier: Courier) -> Outcome:
    try:
        delivery = fetch_file(step.entry, courier)
    except FetchError as error:
        return Outcome(step.entry, "failed", str(error), hint=error.hint, code=error.code)
    status = "there" if delivery.host is None else "fetched"
    return Outcome(step.entry, status, delivery.note, delivery.size, delivery.host)


def _settled(step: Step) -> Outcome:
    """The outcome of a file that needs no transfer."""
    found = step.presence
    if found.state is State.CONFLICT:
        return Outcome(step.entry, "failed", found.note, found.size, hint=found.hint, code="conflict")
    return Outcome(step.entry, "there", found.note, found.size)


def _selected(entries: Sequence[ManifestEntry], only: Sequence[str]) -> list[ManifestEntry]:
    """Entries that one of the globs matches, or all without globs."""
    matching = {glob: [entry for entry in entries if _matches(entry, glob)] for glob in only}
    for glob, found in matching.items():
        if not found:
            raise UsageError(
                f"--only {glob!r} matches none of the {len(entries)} entries",
                hint="it is compared with models/KIND/NAME, KIND/NAME and the file name; "
                "--dry-run lists them",
            )
    if not only:
        return list(entries)
    return [entry for entry in entries if any(entry in found for found in matching.values())]


def _matches(entry: ManifestEntry, glob: str) -> bool:
    names = (entry.path, str(entry.target), entry.name, entry.target.name)
    return glob in names or any(fnmatchcase(name, glob) for name in names)


def _network() -> AbstractContextManager[Transport]:
    """The real transport; imported here, as httpx costs start-up time."""
    from comfykit.fetch.http import HttpTransport

    return closing(HttpTransport())
