"""What was seen of hosts in earlier runs, and in which order their addresses are worth trying.

A small JSON file in the user's cache folder keeps latency, speed and failures of each host. It only ever
changes an order: a file that is lost, torn or not writable costs nothing but the first choice.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TypeVar

from comfykit.errors import FetchError
from comfykit.fetch.retry import Cause, cause_of
from comfykit.fetch.state_file import changing, read_state
from comfykit.fetch.urls import host
from comfykit.home import expand

MAX_HOSTS = 200

# Hosts are compared by the seconds that they would need for this much, in powers of two: what a
# measurement varies by from one hour to the next changes no order.
_SAMPLE_BYTES = 64 * 1024**2
# What a host is taken for that nobody has seen: neither avoided nor preferred.
_USUAL_LATENCY, _USUAL_SPEED = 0.3, 10e6
# Half of a failure is forgiven in an hour, as mirrors come and go.
_HALF_LIFE = 3600.0
_AVOIDED = 0.5
# The newest measurement counts this much against all before it.
_NEWEST = 0.5

# Causes that lie in one file, not in the host.
_OF_THE_FILE = frozenset({Cause.CHANGED, Cause.MISSING, Cause.NO_RANGES, Cause.REFUSED})

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Seen:
    """One host: seconds to the first byte, bytes a second, and failures as of `when` (Unix time)."""

    latency: float | None = None
    speed: float | None = None
    failures: float = 0.0
    when: float = 0.0

    def failures_at(self, now: float) -> float:
        """The failures that are not forgiven yet."""
        return float(self.failures * 0.5 ** (max(0.0, now - self.when) / _HALF_LIFE))

    def seconds(self) -> float:
        """How long a file of the sample's size would take."""
        latency = _USUAL_LATENCY if self.latency is None else self.latency
        speed = _USUAL_SPEED if self.speed is None else self.speed
        return latency + _SAMPLE_BYTES / max(speed, 1.0)


class History:
    """What is known of hosts; used from several threads. `path` None keeps it in memory alone."""

    def __init__(self, path: Path | None = None, *, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._clock = clock
        self._lock = threading.Lock()
        self._hosts = _read(read_state(path)) if path else {}
        self._changed: set[str] = set()

    def seen(self, name: str) -> Seen | None:
        """What is known of a host (with its port, as `urls.host` says it)."""
        with self._lock:
            return self._hosts.get(name)

    def worked(self, url: str, *, latency: float | None = None, speed: float | None = None) -> None:
        """Note that a host gave what it should: seconds to the first byte, bytes a second."""
        with self._lock:
            old = self._hosts.get(host(url), Seen())
            now = self._clock()
            new = Seen(_mixed(old.latency, latency), _mixed(old.speed, speed), old.failures_at(now) / 2, now)
            self._note(host(url), new)

    def failed(self, url: str, error: FetchError | None = None) -> None:
        """Note that a host did not give what it should; a file that it may not give says nothing of it."""
        if error is not None and cause_of(error) in _OF_THE_FILE:
            return
        with self._lock:
            old = self._hosts.get(host(url), Seen())
            now = self._clock()
            self._note(host(url), replace(old, failures=old.failures_at(now) + 1, when=now))

    def order(self, items: Sequence[T], url_of: Callable[[T], str]) -> list[T]:
        """The items, those of hosts that promise to be done first in front; else in their own order."""
        with self._lock:
            return sorted(items, key=lambda item: self._rank(host(url_of(item))))

    def save(self) -> None:
        """Write what is new, over what other processes wrote meanwhile; what cannot be written is dropped."""
        with self._lock:
            if self._path is None or not self._changed:
                return
            new = {name: asdict(self._hosts[name]) for name in self._changed}
            self._changed.clear()
            with suppress(OSError), changing(self._path) as entries:
                entries.update(new)
                known = _read(entries)
                for name in sorted(known, key=lambda name: -known[name].when)[MAX_HOSTS:]:
                    del entries[name]

    def _note(self, name: str, seen: Seen) -> None:
        self._hosts[name] = seen
        self._changed.add(name)

    def _rank(self, name: str) -> tuple[bool, int]:
        seen = self._hosts.get(name, Seen())
        return seen.failures_at(self._clock()) >= _AVOIDED, round(math.log2(seen.seconds()))


def open_history(environment: Mapping[str, str]) -> History:
    """The history of this user, in `$XDG_CACHE_HOME/comfykit` or `~/.cache/comfykit`."""
    cache = environment.get("XDG_CACHE_HOME") or str(Path(environment.get("HOME") or "~") / ".cache")
    return History(expand(cache) / "comfykit" / "hosts.json")


def _mixed(old: float | None, new: float | None) -> float | None:
    """A measurement joined to those before it; nonsense is not counted."""
    if new is None or not (math.isfinite(new) and new > 0):
        return old
    return new if old is None else _NEWEST * new + (1 - _NEWEST) * old


def _read(entries: Mapping[str, Mapping[str, object]]) -> dict[str, Seen]:
    """Hosts of a state file's entries; those that cannot be understood are left out."""
    hosts: dict[str, Seen] = {}
    for name, fields in entries.items():
        latency, speed = _number(fields.get("latency")), _number(fields.get("speed"))
        failures, when = _number(fields.get("failures")), _number(fields.get("when"))
        if when is not None:
            hosts[name] = Seen(latency, speed, failures or 0.0, when)
    return hosts


def _number(value: object) -> float | None:
    """A number that can be counted with; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) and value >= 0 else None
