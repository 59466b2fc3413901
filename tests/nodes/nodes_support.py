"""What tests of nodes share: a context over folders of a test's own."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from comfykit.events import Event, Warned
from comfykit.home import Home
from comfykit.memory import Residency
from comfykit.nodes.context import NodeContext
from comfykit.settings import Settings


def settings_at(root: Path) -> Settings:
    """Settings with input, output and temp folders below `root`; only the input folder is made."""
    (root / "input").mkdir(exist_ok=True)
    return Settings(Home(root), root / "input", root / "output", root / "temp", device="cpu")


@dataclass
class Run:
    """A context for one node, and what it reported."""

    settings: Settings
    events: list[Event] = field(default_factory=list)

    @property
    def context(self) -> NodeContext:
        return NodeContext("1", self.settings, Residency("cpu", "fp32"), self.events.append, lambda: False)

    @property
    def warnings(self) -> list[str]:
        return [event.message for event in self.events if isinstance(event, Warned)]
