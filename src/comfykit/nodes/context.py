"""What a node may ask of the run it is part of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from comfykit.errors import Interrupted
from comfykit.events import NodeProgress, Reporter, Warned
from comfykit.memory import Residency
from comfykit.settings import Settings


@dataclass(frozen=True, slots=True)
class NodeContext:
    """Handed to nodes that declare a parameter of type `Context`; one per node and run.

    `stopped` says whether the user asked to stop; `reporter` takes events.
    """

    node: str
    settings: Settings
    residency: Residency
    reporter: Reporter
    stopped: Callable[[], bool]

    def progress(self, value: int, total: int, label: str = "step") -> None:
        """Report that `value` of `total` steps are done; raises `Interrupted` when asked to stop."""
        self.reporter(NodeProgress(self.node, value, total, label))
        if self.stopped():
            raise Interrupted("interrupted")

    def warn(self, message: str, hint: str | None = None) -> None:
        """Say something that stops nothing."""
        self.reporter(Warned(message, hint))
