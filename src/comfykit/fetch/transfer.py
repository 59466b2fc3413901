"""Brings one file onto the disk: from one mirror after the other, verified, whole or not at all."""

from __future__ import annotations

import errno
import hashlib
import shutil
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from comfykit.errors import FetchError, Interrupted, TransferError, VerificationError
from comfykit.events import Reporter, TransferAdvanced, TransferEnded, TransferStarted, Warned
from comfykit.fetch.entry import ManifestEntry
from comfykit.fetch.formats import START_BYTES, judge_file, judge_start
from comfykit.fetch.mirrors import Mirror, rewrite
from comfykit.fetch.partial import Partial, claim
from comfykit.fetch.presence import State, inspect
from comfykit.fetch.redirects import Answer, Source, follow
from comfykit.fetch.transport import Transport
from comfykit.fetch.urls import host, origin, redact
from comfykit.home import Home

_REPORT_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Limits:
    """When a transfer counts as stuck: fewer than `slow_rate` bytes a second over `slow_seconds`."""

    slow_rate: float = 1024.0
    slow_seconds: float = 30.0


@dataclass(frozen=True, slots=True)
class Delivery:
    """A file that is in place. `host` gave it, None where another process brought it meanwhile.

    `sha256` is that of the bytes, None where they were not hashed.
    """

    size: int
    host: str | None
    note: str
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class Courier:
    """What every transfer of a run shares."""

    home: Home
    transport: Transport
    reporter: Reporter
    cancel: threading.Event
    mirrors: Sequence[Mirror] = ()
    limits: Limits = Limits()


def sources(entry: ManifestEntry, mirrors: Sequence[Mirror] = ()) -> list[Source]:
    """The addresses to ask for an entry, in order, each with its headers and who may see them."""
    bound_to = origin(entry.urls[0])
    addresses = dict.fromkeys(rewrite(url, mirrors) for url in entry.urls)
    return [Source(address, entry.headers, bound_to, entry.user_agent) for address in addresses]


def fetch_file(entry: ManifestEntry, courier: Courier) -> Delivery:
    """Bring the file of an entry to its place; mirrors are tried in turn.

    Raises `FetchError` when no mirror gives the right bytes or the disk does not take them, and
    `Interrupted` when the run is cancelled. Either way nothing is under the final name that was not
    there before.
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
            return Delivery(found.size, None, found.note)
        if found.state is State.CONFLICT:
            raise FetchError(found.note, hint=found.hint)
        failures: list[FetchError] = []
        for source in sources(entry, courier.mirrors):
            if failures:
                courier.reporter(Warned(f"{entry.path}: {failures[-1]}", f"trying {host(source.url)}"))
            try:
                return _fetch_from(source, entry, partial, courier)
            except (TransferError, VerificationError) as error:
                failures.append(error)
        raise _joined(failures)


def _fetch_from(source: Source, entry: ManifestEntry, partial: Partial, courier: Courier) -> Delivery:
    """One try at one address: receive, verify, publish."""
    partial.restart()
    with follow(courier.transport, source) as answer:
        lengths = _announced_lengths(answer)
        total = lengths[0] if lengths else None
        _check_space(partial, total)
        courier.reporter(TransferStarted(entry.path, redact(source.url), total))
        size, sha256 = _receive(answer, entry, partial, total, courier)
    for length in lengths:
        if size != length:
            raise TransferError(f"{host(answer.url)} sent {size} of the {length} bytes it announced")
    note = _verify(entry, answer, sha256)
    partial.sync()
    wrong = None if entry.sha256 else judge_file(partial.path, entry.target.name)
    if wrong:
        raise _unusable(answer.url, wrong)
    partial.publish()
    return Delivery(size, host(source.url), note, sha256)


def _receive(
    answer: Answer, entry: ManifestEntry, partial: Partial, total: int | None, courier: Courier
) -> tuple[int, str]:
    """Write the body to the partial file; its size and SHA-256."""
    digest = hashlib.sha256()
    size, reported = 0, time.monotonic()
    watched = _watched(answer.response.chunks(), answer.url, courier)
    for chunk in _judged(watched, entry.target.name, total, answer.url):
        digest.update(chunk)
        partial.file.write(chunk)
        size += len(chunk)
        if time.monotonic() - reported >= _REPORT_SECONDS:
            reported = time.monotonic()
            courier.reporter(TransferAdvanced(entry.path, size))
    courier.reporter(TransferAdvanced(entry.path, size))
    return size, digest.hexdigest()


def _watched(chunks: Iterator[bytes], url: str, courier: Courier) -> Iterator[bytes]:
    """The chunks, until the run is cancelled or they trickle: a read timeout never ends a trickle."""
    limits = courier.limits
    since, arrived = time.monotonic(), 0
    for chunk in chunks:
        if courier.cancel.is_set():
            raise Interrupted("interrupted")
        yield chunk
        arrived += len(chunk)
        elapsed = time.monotonic() - since
        if elapsed >= limits.slow_seconds:
            if arrived < limits.slow_rate * elapsed:
                raise TransferError(f"{host(url)} sent only {arrived} bytes in {elapsed:.0f} s")
            since, arrived = time.monotonic(), 0


def _judged(chunks: Iterator[bytes], name: str, total: int | None, url: str) -> Iterator[bytes]:
    """The chunks, once their start can be that of the file; before that nothing is written."""
    start = b""
    while len(start) < START_BYTES and (chunk := next(chunks, None)) is not None:
        start += chunk
    wrong = judge_start(name, start, total)
    if wrong:
        raise _unusable(url, wrong)
    yield start
    yield from chunks


def _announced_lengths(answer: Answer) -> list[int]:
    """Sizes that the server and the hub before it gave for the file."""
    length = answer.response.headers.get("Content-Length", "")
    lengths = [int(length)] if length.isascii() and length.isdigit() else []
    return lengths if answer.size is None else [*lengths, answer.size]


def _unusable(url: str, wrong: str) -> VerificationError:
    return VerificationError(f"what {host(url)} sent is not the file: {wrong}")


def _verify(entry: ManifestEntry, answer: Answer, sha256: str) -> str:
    """Compare with the manifest's checksum, or with the one that the hub announced."""
    expected = entry.sha256 or answer.sha256
    if expected is None:
        return "not verified (the manifest has no checksum)"
    if sha256 != expected:
        named = entry.place if entry.sha256 else "the hub"
        raise VerificationError(
            f"what {host(answer.url)} sent has sha-256 {sha256}, and {named} says {expected}",
            hint="if every mirror sends these bytes, the checksum in the manifest is wrong"
            if entry.sha256
            else None,
            sha256=sha256,
            expected=expected,
        )
    return "verified" if entry.sha256 else "verified by the hub's own checksum"


def _check_space(partial: Partial, total: int | None) -> None:
    free = shutil.disk_usage(partial.path.parent).free
    if total is not None and total > free:
        raise FetchError(
            f"{partial.target.name} has {total} bytes, and {partial.path.parent} has {free} free",
            hint="make room, or give --home a folder on a larger disk",
            needed=total,
            free=free,
        )


def _disk_error(entry: ManifestEntry, error: OSError) -> FetchError:
    """A sentence for what the disk refused."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    return FetchError(
        f"{entry.path} cannot be written ({error.strerror or error})",
        hint="make room on the disk and run again" if full else "make the folder writable",
        errno=error.errno,
    )


def _joined(failures: Sequence[FetchError]) -> FetchError:
    """One error for an entry that no mirror could give."""
    if len(failures) == 1:
        return failures[0]
    hints = [failure.hint for failure in failures if failure.hint]
    return FetchError("; ".join(map(str, failures)), hint=hints[0] if hints else None)
