"""Brings one file to its place: whatever the backend, verified and whole, or not at all."""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from comfykit.errors import FetchError, VerificationError
from comfykit.events import Reporter, TransferEnded, Warned
from comfykit.fetch.backend import Backend, Job, Received
from comfykit.fetch.entry import ManifestEntry
from comfykit.fetch.formats import judge_file
from comfykit.fetch.mirrors import Mirror, rewrite
from comfykit.fetch.partial import Partial, claim
from comfykit.fetch.presence import State, inspect
from comfykit.fetch.retry import joined
from comfykit.fetch.source import Expected, Source
from comfykit.fetch.urls import host, origin
from comfykit.home import Home


@dataclass(frozen=True, slots=True)
class Delivery:
    """A file that is in place. `host` gave it, None where another process brought it meanwhile.

    `url` is the address that was asked, without secrets; `sha256` that of the bytes, where it is known.
    """

    size: int
    host: str | None
    note: str
    sha256: str | None = None
    url: str | None = None


def sources(entry: ManifestEntry, mirrors: Sequence[Mirror] = ()) -> list[Source]:
    """The addresses to ask for an entry, in order, each with its headers and who may see them."""
    bound_to = origin(entry.urls[0])
    addresses = dict.fromkeys(rewrite(url, mirrors) for url in entry.urls)
    return [Source(address, entry.headers, bound_to, entry.user_agent) for address in addresses]


def as_listed(entry: ManifestEntry) -> tuple[ManifestEntry, Expected]:
    """An entry, and what its manifest says that the bytes are."""
    said_by = entry.place if entry.sha256 or entry.size else ""
    return entry, Expected(entry.size, entry.sha256, said_by)


@dataclass(frozen=True, slots=True)
class Courier:
    """What every transfer of a run shares.

    `sources_for` says whom to ask for an entry, in which order; `inform` what is known of its bytes
    beforehand (and settles versions that the entry leaves open).
    """

    home: Home
    backend: Backend
    reporter: Reporter
    cancel: threading.Event
    sources_for: Callable[[ManifestEntry], Sequence[Source]] = sources
    inform: Callable[[ManifestEntry], tuple[ManifestEntry, Expected]] = as_listed


def fetch_file(entry: ManifestEntry, courier: Courier) -> Delivery:
    """Bring the file of an entry to its place.

    Raises `FetchError` when no source gives the right bytes or the disk does not take them, and
    `Interrupted` when the run is cancelled. Either way nothing is under the final name that was not
    there before; what is worth going on from stays in the partial file.
    """
    try:
        delivery = _fetch(entry, courier)
    except OSError as error:
        failure = _disk_error(entry, error)
        courier.reporter(TransferEnded(entry.path, 0, str(failure)))
        raise failure from error
    except FetchError as error:
        courier.reporter(TransferEnded(entry.path, 0, str(error)))
        raise
    courier.reporter(TransferEnded(entry.path, delivery.size))
    return delivery


def _fetch(entry: ManifestEntry, courier: Courier) -> Delivery:
    def on_wait() -> None:
        courier.reporter(Warned(f"another process is fetching {entry.path}; waiting for it"))

    with claim(courier.home.models / entry.target, courier.cancel, on_wait) as partial:
        found = inspect(entry, courier.home)
        if found.state is State.THERE:
            partial.restart()
            return Delivery(found.size, None, found.note)
        if found.state is State.CONFLICT:
            raise FetchError(found.note, hint=found.hint)
        settled, expected = courier.inform(entry)
        return _from_sources(settled, expected, partial, courier)


def _from_sources(entry: ManifestEntry, expected: Expected, partial: Partial, courier: Courier) -> Delivery:
    """Receive and verify. Where wrong bytes may be of several sources, each is asked for all of them."""
    attempts = [tuple(courier.sources_for(entry))]
    failures: list[FetchError] = []
    singly = False
    while attempts:
        chosen = attempts.pop(0)
        if singly:  # no byte of another one
            partial.restart()
        try:
            received = courier.backend.receive(
                Job(entry.path, chosen, expected), partial, courier.cancel, courier.reporter
            )
        except FetchError as error:
            failures.append(error)
            _say_next(entry, error, attempts, courier)
            continue
        try:
            return _publish(received, entry, expected if expected.sha256 else received.announced, partial)
        except VerificationError as error:
            partial.reject(str(error))
            if singly or (len(received.sources) == 1 and received.fetched >= received.size):
                failures.append(error)
                rest = tuple(source for source in chosen if source not in received.sources)
                attempts = [rest, *attempts] if rest else attempts
            else:
                singly, attempts = True, [(source,) for source in chosen]
            _say_next(entry, error, attempts, courier)
    raise joined(failures)


def _say_next(
    entry: ManifestEntry, error: FetchError, attempts: Sequence[Sequence[Source]], courier: Courier
) -> None:
    if attempts:
        courier.reporter(Warned(f"{entry.path}: {error}", f"trying {attempts[0][0].title}"))


def _publish(received: Received, entry: ManifestEntry, expected: Expected, partial: Partial) -> Delivery:
    """Verify a complete partial file and give it its name."""
    senders = _senders(received)
    if expected.sha256 is not None and received.sha256 != expected.sha256:
        raise VerificationError(
            f"what {senders} sent has sha-256 {received.sha256}, "
            f"and {expected.said_by} says {expected.sha256}",
            hint="if every mirror sends these bytes, the checksum in the manifest is wrong"
            if entry.sha256
            else None,
            sha256=received.sha256,
            expected=expected.sha256,
        )
    partial.sync()
    wrong = None if entry.sha256 else judge_file(partial.path, entry.target.name)
    if wrong:
        raise VerificationError(f"what {senders} sent is not the file: {wrong}")
    partial.publish()
    first = received.sources[0] if received.sources else None
    return Delivery(
        received.size,
        host(first.url) if first else senders,
        _note(entry, expected.sha256) + (f"; {received.note}" if received.note else ""),
        received.sha256,
        first.shown if first else None,
    )


def _senders(received: Received) -> str:
    return " and ".join(dict.fromkeys(host(source.url) for source in received.sources)) or "an earlier run"


def _note(entry: ManifestEntry, expected: str | None) -> str:
    if expected is None:
        return "not verified (the manifest has no checksum)"
    return "verified" if entry.sha256 else "verified by the hub's own checksum"


def _disk_error(entry: ManifestEntry, error: OSError) -> FetchError:
    """A sentence for what the disk refused."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    return FetchError(
        f"{entry.path} cannot be written ({error.strerror or error})",
        hint="make room on the disk and run again" if full else "make the folder writable",
        errno=error.errno,
    )
