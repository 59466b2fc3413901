"""What of a partial file is there, in a file beside it: `.NAME.part.json`.

The journal is lines of JSON. The first says what the bytes are of (`Origin`). Each further line is a
whole account of the spans that are there; the last one that can be read counts, so that a line cut
off by a crash costs only what it would have added. There are two kinds:

    {"flushed": [[start, end], ...]}            on the disk: written after fdatasync
    {"written": [[start, end], ...], "boot": B} handed to the system: holds as long as it has not
                                                started again, so it survives a killed process

A journal that is foreign, torn or of a newer version is no journal: the file starts again.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from comfykit.fetch.spans import Spans

VERSION = 1
_MAX_BYTES = 1024 * 1024
_BOOT = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class Origin:
    """Which object the bytes of a partial file belong to.

    `url` is the address that was asked, without secrets; `etag` and `modified` are those of the server
    that gave the bytes; `sha256` is what the whole file must have, or what a hub said it has.
    """

    url: str
    size: int
    etag: str | None = None
    modified: str | None = None
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """What a journal says."""

    origin: Origin
    done: Spans


class Journal:
    """The journal of one partial file; only for whoever holds the partial's lock."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._size = 0
        self._origin: Origin | None = None

    def read(self) -> Record | None:
        """What the journal says, None where there is none; `ValueError` for one that is not usable."""
        try:
            descriptor = os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        with os.fdopen(descriptor, "rb") as file:
            first, *lines = file.read(_MAX_BYTES).split(b"\n")
        origin = _read_origin(first)
        done = Spans()
        for line in lines:
            with suppress(ValueError):
                done = _read_spans(line)
        if done.end > origin.size:
            raise ValueError("it speaks of bytes after the end of the file")
        return Record(origin, done)

    def begin(self, origin: Origin, done: Spans | None = None) -> None:
        """Start a journal, in place of the one that may be there; `done` has been flushed."""
        head = json.dumps({"version": VERSION, **asdict(origin)})
        lines = [head, json.dumps({"flushed": (done or Spans()).to_lists()}), ""]
        data = "\n".join(lines).encode()
        beside = self.path.with_name(f"{self.path.name}.new")
        beside.unlink(missing_ok=True)
        descriptor = os.open(
            beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666
        )
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fdatasync(file.fileno())
        beside.replace(self.path)
        self._origin, self._size = origin, len(data)

    def note(self, done: Spans) -> None:
        """Write down what has been handed to the system."""
        self._append({"written": done.to_lists(), "boot": boot_id()}, done, flush=False)

    def flushed(self, done: Spans) -> None:
        """Write down what has been flushed to the disk: call after `fdatasync` of the partial."""
        self._append({"flushed": done.to_lists()}, done, flush=True)

    def remove(self) -> None:
        """Take the journal away."""
        self.path.unlink(missing_ok=True)
        self.path.with_name(f"{self.path.name}.new").unlink(missing_ok=True)
        self._origin = None

    @property
    def begun(self) -> bool:
        """Whether `begin` was called."""
        return self._origin is not None

    def _append(self, line: dict[str, object], done: Spans, *, flush: bool) -> None:
        data = json.dumps(line).encode() + b"\n"
        if self._origin is None:
            raise RuntimeError("the journal has not begun")
        if self._size + len(data) > _MAX_BYTES // 2:
            if flush:  # begin anew, with one line
                self.begin(self._origin, done)
            return
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            os.write(descriptor, data)
            if flush:
                os.fdatasync(descriptor)
        finally:
            os.close(descriptor)
        self._size += len(data)


def beside(partial: Path) -> Path:
    """Where the journal of a partial file lies."""
    return partial.with_name(f"{partial.name}.json")


def boot_id() -> str:
    """What tells one start of this machine from the next; empty where the system does not say."""
    try:
        return _BOOT.read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _read_origin(line: bytes) -> Origin:
    head = json.loads(line)
    if not isinstance(head, dict) or head.get("version") != VERSION:
        raise ValueError("it is of another version")
    texts = {name: head.get(name) for name in ("url", "etag", "modified", "sha256")}
    size = head.get("size")
    if not isinstance(texts["url"], str) or type(size) is not int or size < 0:
        raise ValueError("it does not say what it belongs to")
    if not all(text is None or isinstance(text, str) for text in texts.values()):
        raise ValueError("it does not say what it belongs to")
    return Origin(texts["url"], size, texts["etag"], texts["modified"], texts["sha256"])


def _read_spans(line: bytes) -> Spans:
    account = json.loads(line)
    if not isinstance(account, dict):
        raise ValueError("no account")
    if "flushed" in account:
        return Spans.from_lists(account["flushed"])
    if not account.get("boot") or account["boot"] != boot_id():
        raise ValueError("the system has started since")
    return Spans.from_lists(account.get("written"))
