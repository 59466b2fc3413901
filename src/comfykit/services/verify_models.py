"""Whether installed models are still what they were, and what they should be."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from comfykit.events import Event, Reporter, TransferAdvanced, TransferEnded, TransferStarted, silent
from comfykit.fetch.catalog import entry_for
from comfykit.fetch.formats import judge_file
from comfykit.fetch.index import HashIndex
from comfykit.services.models import Model
from comfykit.services.parallel import in_parallel


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is known of a model after a look at its bytes; `note` is a sentence for a person.

    `ok`: its hash is the one that is known for it. `unknown`: it can be a model, and nobody said which
    hash it should have. `wrong`: it has another hash. `broken`: it can be no model of its format.
    `unreadable`: the disk did not give its bytes.
    """

    model: Model
    status: str
    note: str
    hint: str | None = None

    @property
    def is_good(self) -> bool:
        """Whether nothing speaks against the file."""
        return self.status in ("ok", "unknown")


def verify_models(
    models: Sequence[Model],
    index: HashIndex,
    *,
    jobs: int = 4,
    again: bool = False,
    reporter: Reporter = silent,
    on_verdict: Callable[[Verdict], None] = lambda verdict: None,
) -> list[Verdict]:
    """Hash models, `jobs` at a time, and compare; verdicts in the models' order.

    What the index knows is not read again, unless `again` is set: that also finds bytes that a failing
    disk changed. `reporter` and `on_verdict` are called by one thread at a time.
    """
    verdicts: dict[int, Verdict] = {}
    lock, cancel = threading.Lock(), threading.Event()

    def report(event: Event) -> None:
        with lock:
            if not cancel.is_set():
                reporter(event)

    def work(number: int) -> None:
        verdict = _verify(models[number], index, again, report, cancel)
        with lock:
            verdicts[number] = verdict
            on_verdict(verdict)

    try:
        in_parallel(min(jobs, len(models)), range(len(models)), work, cancel)
    finally:
        index.save()
    return [verdicts[number] for number in range(len(models))]


def _verify(
    model: Model, index: HashIndex, again: bool, report: Reporter, cancel: threading.Event
) -> Verdict:
    before = index.known(model.path)
    reads = again or before is None
    done = 0

    def advance(count: int) -> None:
        nonlocal done
        done += count
        if reads:
            report(TransferAdvanced(model.title, done))

    try:
        if reads:
            report(TransferStarted(model.title, model.path.as_uri(), model.size))
        sha256 = index.sha256(model.path, advance=advance, cancel=cancel, again=again)
        wrong = judge_file(model.path, model.path.name)
    except OSError as error:
        verdict = Verdict(model, "unreadable", f"cannot be read ({error.strerror or error})")
    else:
        verdict = _judge(replace(model, sha256=sha256), before, wrong)
    if reads:
        report(TransferEnded(model.title, model.size, None if verdict.is_good else verdict.note))
    return verdict


def _judge(model: Model, before: str | None, wrong: str | None) -> Verdict:
    """Compare a model's hash with every one that is known for it."""
    hint = "remove it and fetch it again"
    if wrong:
        return Verdict(model, "broken", wrong, hint)
    if before is not None and before != model.sha256:
        note = "its bytes changed though nobody wrote to it: the disk may be failing"
        return Verdict(model, "wrong", note, f"{hint}, onto another disk")
    said = _expected(model)
    if not said:
        return Verdict(model, "unknown", "no checksum is known for it")
    if model.sha256 in said:
        return Verdict(model, "ok", f"the checksum of {said[model.sha256]}")
    expected, by = next(iter(said.items()))
    note = f"it has sha-256 {model.sha256}, and {by} says {expected}"
    return Verdict(model, "wrong", note, f"{hint}, unless you put another file there on purpose")


def _expected(model: Model) -> dict[str, str]:
    """Hashes that the file may have, each with who says so."""
    said: dict[str, str] = {}
    if model.provenance is not None and model.provenance.sha256:
        said[model.provenance.sha256] = "the file that was fetched"
    listed = entry_for(model.kind, model.name)
    if listed is not None and listed.sha256:
        said.setdefault(listed.sha256, listed.file)
    return said
