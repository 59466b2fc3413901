"""Looks at things side by side, each with a time limit; one that hangs is left behind."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Looked:
    """What came of the looks: `values` by name, and the names of those that took too long."""

    values: Mapping[str, Any]
    late: tuple[str, ...] = ()


@dataclass(slots=True)
class _Box:
    """What one thread found."""

    value: Any = None
    error: BaseException | None = None
    done: threading.Event = field(default_factory=threading.Event)


def look_at(looks: Mapping[str, Callable[[], Any]], seconds: Mapping[str, float]) -> Looked:
    """Call all of them at once and wait for each as long as `seconds` says.

    They run in daemon threads: one that waits for a dead network disk cannot be stopped, and must keep
    neither this call nor the end of the process waiting. What a look raises is raised here.
    """
    boxes = {name: _start(look) for name, look in looks.items()}
    start = time.monotonic()
    for name, box in sorted(boxes.items(), key=lambda entry: seconds[entry[0]]):
        box.done.wait(max(0.0, start + seconds[name] - time.monotonic()))
    done = {name: box for name, box in boxes.items() if box.done.is_set()}
    for box in done.values():
        if box.error is not None:
            raise box.error
    return Looked(
        {name: box.value for name, box in done.items()}, tuple(name for name in boxes if name not in done)
    )


def _start(look: Callable[[], Any]) -> _Box:
    box = _Box()

    def work() -> None:
        try:
            box.value = look()
        except BaseException as error:  # noqa: BLE001  (it is raised again where somebody waits for it)
            box.error = error
        box.done.set()

    threading.Thread(target=work, daemon=True).start()
    return box
