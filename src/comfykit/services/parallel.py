"""The same work on many things in a few threads, until all are done or somebody presses Ctrl-C."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import wait
from typing import Generic, TypeVar

from comfykit.fetch.threads import in_thread

T = TypeVar("T")
_CLEAN_UP_SECONDS = 0.5


class SharedQueue(Generic[T]):
    """An iterator that several threads may take from."""

    def __init__(self, items: Iterable[T]) -> None:
        self._items = iter(items)
        self._lock = threading.Lock()

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        with self._lock:
            return next(self._items)


def in_parallel(jobs: int, items: Iterable[T], work: Callable[[T], object], cancel: threading.Event) -> None:
    """Do `work` for every item, `jobs` at a time; raises what one of them raised, once all have ended.

    On a KeyboardInterrupt `cancel` is set; threads that do not heed it within half a second are left
    behind, and do not keep the process from ending.
    """
    queue = SharedQueue(items)

    def run() -> None:
        for item in queue:
            work(item)

    threads = [in_thread(run) for _ in range(jobs)]
    try:
        wait(threads)
    except KeyboardInterrupt:
        cancel.set()
        wait(threads, timeout=_CLEAN_UP_SECONDS)
        raise
    for thread in threads:
        thread.result()
