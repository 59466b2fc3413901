"""Asynchronous nodes: their coroutines run in an event loop of a thread of its own.

The executor goes on with other nodes meanwhile and may itself be called from inside an event loop.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import queue
import threading
from collections.abc import Sequence
from types import TracebackType
from typing import Any


class Background:
    """Awaits the answers of nodes; the thread starts with the first one."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._ended: queue.SimpleQueue[tuple[str, list[Any], BaseException | None]] = queue.SimpleQueue()
        self._running = 0

    @property
    def busy(self) -> bool:
        """Whether a node is still awaited."""
        return self._running > 0

    def start(self, node: str, answers: Sequence[Any]) -> None:
        """Await every answer of a node's calls that can be awaited."""
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(target=self._loop.run_forever, name="async-nodes", daemon=True)
            self._thread.start()
        self._running += 1
        context = contextvars.copy_context()
        loop = self._loop
        loop.call_soon_threadsafe(lambda: loop.create_task(self._await(node, answers), context=context))

    def wait(self) -> tuple[str, list[Any], BaseException | None]:
        """The next node that ends: its answers, or what it raised."""
        while True:
            try:
                ended = self._ended.get(timeout=0.2)  # so that a signal is handled between two waits
            except queue.Empty:
                continue
            self._running -= 1
            return ended

    async def _await(self, node: str, answers: Sequence[Any]) -> None:
        try:
            values = await asyncio.gather(*(_value(answer) for answer in answers))
        except BaseException as error:  # noqa: BLE001  (a stranger's code; handed to the executor)
            self._ended.put((node, [], error))
        else:
            self._ended.put((node, list(values), None))

    def __enter__(self) -> Background:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._loop is not None and self._thread is not None:
            self._loop.call_soon_threadsafe(_cancel_all, self._loop)
            self._thread.join(timeout=5)


def _cancel_all(loop: asyncio.AbstractEventLoop) -> None:
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    ended = asyncio.gather(*tasks, return_exceptions=True)
    ended.add_done_callback(lambda _: loop.stop())


async def _value(answer: Any) -> Any:
    return await answer if inspect.isawaitable(answer) else answer
