"""Results that need not be made again, by key.

Three policies, as ComfyUI has them: `keep what the present workflow uses` (the default), `keep the
newest N`, `keep nothing`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Entry:
    """What a node gave: for each output slot a list of values, and what it showed."""

    outputs: tuple[list[Any], ...]
    ui: Mapping[str, list[Any]] | None = None


class Cache:
    """Keeps the results that the workflow now running uses, and drops all others when it starts."""

    def __init__(self) -> None:
        self._entries: OrderedDict[str, Entry] = OrderedDict()

    def begin(self, keys: Set[str]) -> None:
        """A workflow whose nodes have these keys is about to run."""
        for key in [key for key in self._entries if key not in keys]:
            del self._entries[key]

    def get(self, key: str) -> Entry | None:
        """The result of a node with that key, if it is kept."""
        return self._entries.get(key)

    def put(self, key: str, entry: Entry) -> None:
        """Keep a result."""
        self._entries[key] = entry

    def __len__(self) -> int:
        return len(self._entries)


class NewestCache(Cache):
    """Keeps the `size` results that were made or used last, whichever workflow they came from."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self._size = size

    def begin(self, keys: Set[str]) -> None:
        """Nothing is dropped: age decides."""

    def get(self, key: str) -> Entry | None:
        """The result, which counts as used now."""
        if key in self._entries:
            self._entries.move_to_end(key)
        return super().get(key)

    def put(self, key: str, entry: Entry) -> None:
        """Keep a result, and drop the one unused for longest when there are too many."""
        super().put(key, entry)
        self._entries.move_to_end(key)
        while len(self._entries) > self._size:
            self._entries.popitem(last=False)


class NoCache(Cache):
    """Keeps nothing: a result lives until everything that needs it has run."""

    def put(self, key: str, entry: Entry) -> None:
        """Nothing is kept."""
