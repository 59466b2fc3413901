"""A home, and a node at work in it whose events are kept."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from comfykit.compat import running, runtime
from comfykit.events import Event
from comfykit.home import Home
from comfykit.memory import Residency
from comfykit.nodes.context import NodeContext
from comfykit.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    """Those of a home in a folder of the test's own, until the test ends."""
    for name in ("models", "input", "output"):
        (tmp_path / name).mkdir()
    made = Settings(Home(tmp_path), tmp_path / "input", tmp_path / "output", tmp_path / "temp", device="cpu")
    running.use_settings(made)
    yield made
    runtime.interrupt(False)


@pytest.fixture
def events(settings: Settings) -> Iterator[list[Event]]:
    """What the node 7 reports; it is at work while the test runs."""
    told: list[Event] = []
    context = NodeContext("7", settings, Residency("cpu", "fp32"), told.append, lambda: False)
    with running.at_work(context):
        yield told
