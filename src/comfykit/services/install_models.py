"""Bringing the models of a plan into the home: from elsewhere on this machine, or over the network."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace

from comfykit.errors import FetchError, Interrupted, VerificationError
from comfykit.events import (
    Event,
    Reporter,
    TransferAdvanced,
    TransferEnded,
    TransferStarted,
    Warned,
    silent,
)
from comfykit.fetch.backend import Backend
from comfykit.fetch.copies import Copy, adopt
from comfykit.fetch.entry import ManifestEntry
from comfykit.fetch.guide import Guide
from comfykit.fetch.index import HashIndex, open_index
from comfykit.fetch.presence import State
from comfykit.fetch.transfer import Courier, as_listed, fetch_file
from comfykit.services.arrivals import Arrivals
from comfykit.services.backends import open_backend, open_inform
from comfykit.services.parallel import in_parallel
from comfykit.services.plan_models import Step, is_missing
from comfykit.settings import Settings


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one file: `fetched`, `linked`, `there` or `failed`; `note` is for a person.

    `host` is where it was fetched from, in `seconds`; `sha256` is known where the bytes were hashed on
    their way.
    """

    entry: ManifestEntry
    status: str
    note: str
    size: int = 0
    host: str | None = None
    hint: str | None = None
    code: str | None = None
    sha256: str | None = None
    seconds: float = 0.0


def install_models(
    settings: Settings,
    steps: Sequence[Step],
    *,
    backend: Backend | None = None,
    guide: Guide | None = None,
    reporter: Reporter = silent,
    on_outcome: Callable[[Outcome], None] = lambda outcome: None,
    index: HashIndex | None = None,
) -> list[Outcome]:
    """Bring what a plan lacks, `settings.jobs` files at a time; outcomes in the plan's order.

    A file that fails does not stop the others. `reporter` and `on_outcome` are called by one thread
    at a time. Ctrl-C (KeyboardInterrupt) ends all transfers within a second and leaves nothing
    unverified under a final name. Hashes and origins of what came are kept in the home (`index`).
    `guide` says where files are asked for, without one the manifests do; `backend` is that of the
    settings unless one is given.
    """
    index = open_index(settings.home) if index is None else index
    lock = threading.Lock()
    cancel = threading.Event()
    outcomes: dict[int, Outcome] = {}

    def report(event: Event) -> None:
        with lock:
            if not cancel.is_set():
                reporter(event)

    def settle(number: int, outcome: Outcome) -> None:
        with lock:
            outcomes[number] = outcome
            on_outcome(outcome)

    missing = []
    for number, step in enumerate(steps):
        if is_missing(step):
            missing.append(number)
        else:
            settle(number, _settled(step))
    if missing:
        guide = Guide() if guide is None else guide
        wanted = [steps[number].entry for number in missing]
        arrivals = Arrivals(settings.home, index)
        with ExitStack() as stack:
            stack.callback(arrivals.write)
            carrier = backend or stack.enter_context(open_backend(settings, guide))
            inform = stack.enter_context(open_inform(guide, wanted))
            courier = Courier(settings.home, carrier, report, cancel, guide.sources, inform or as_listed)

            def work(number: int) -> None:
                started = time.monotonic()
                outcome = _bring(steps[number], courier, index)
                outcome = replace(outcome, seconds=time.monotonic() - started)
                if outcome.status in ("fetched", "linked"):
                    arrivals.add(steps[number].entry, outcome.size, outcome.sha256)
                settle(number, outcome)

            in_parallel(min(settings.jobs, len(missing)), missing, work, cancel)
    return [outcomes[number] for number in range(len(steps))]


def _bring(step: Step, courier: Courier, index: HashIndex) -> Outcome:
    """One file from elsewhere on this machine, or over the network where that does not work."""
    if step.copy is not None:
        try:
            return _link(step, step.copy, courier, index)
        except Interrupted:
            raise
        except (OSError, VerificationError) as error:
            courier.reporter(Warned(f"{step.entry.path}: {error}; it is fetched instead"))
    return _fetch(step, courier)


def _link(step: Step, copy: Copy, courier: Courier, index: HashIndex) -> Outcome:
    path = step.entry.path

    def advance(done: int) -> None:
        courier.reporter(TransferAdvanced(path, done))

    courier.reporter(TransferStarted(path, copy.path.as_uri(), copy.size))
    how = adopt(copy, courier.home.models / step.entry.target, index, advance=advance, cancel=courier.cancel)
    courier.reporter(TransferEnded(path, copy.size))
    note = f"{how} from {copy.place}, verified"
    return Outcome(step.entry, "linked", note, copy.size, sha256=copy.sha256)


def _fetch(step: Step, courier: Courier) -> Outcome:
    try:
        delivery = fetch_file(step.entry, courier)
    except FetchError as error:
        return Outcome(step.entry, "failed", str(error), hint=error.hint, code=error.code)
    status = "there" if delivery.host is None else "fetched"
    return Outcome(step.entry, status, delivery.note, delivery.size, delivery.host, sha256=delivery.sha256)


def _settled(step: Step) -> Outcome:
    """The outcome of a file that needs no transfer."""
    found = step.presence
    if found.state is State.CONFLICT:
        return Outcome(step.entry, "failed", found.note, found.size, hint=found.hint, code="conflict")
    return Outcome(step.entry, "there", found.note, found.size)
