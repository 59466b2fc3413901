"""Coroutines of packs where the engine wants an answer at once."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import threading
from typing import Any


def result_of(value: Any) -> Any:
    """The value itself, or what an awaitable gives.

    It runs in a thread of its own, since the caller's may have an event loop that is running.
    """
    if not inspect.isawaitable(value):
        return value
    context = contextvars.copy_context()
    answers: list[tuple[Any, BaseException | None]] = []

    async def wait() -> Any:
        return await value

    def run() -> None:
        try:
            answers.append((asyncio.run(wait()), None))
        except BaseException as error:  # noqa: BLE001  (raised again below)
            answers.append((None, error))

    thread = threading.Thread(target=context.run, args=(run,))
    thread.start()
    thread.join()
    result, error = answers[0]
    if error is not None:
        raise error
    return result
