"""Homes with packs of the tests' own; what loading leaves in the process is taken back after each test."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from comfykit.compat import guard, loader, modules
from comfykit.compat.registry import PackRegistry
from comfykit.events import Event
from comfykit.packs.places import enabled_packs
from comfykit.services.run import Runner, RunResult
from comfykit.settings import Settings, resolve
from comfykit.workflow.read import Workflow


@dataclass
class PackHome:
    """A home; `events` are what its runs told."""

    root: Path
    settings: Settings
    events: list[Event]

    def pack(self, name: str, source: str = "", **files: str) -> Path:
        """A pack: a folder with `__init__.py` and other files (`other__py` is other.py), or NAME.py."""
        place = self.root / "custom_nodes" / name
        if name.endswith(".py"):
            place.write_text(textwrap.dedent(source), encoding="utf-8")
            return place
        place.mkdir(parents=True, exist_ok=True)
        for file, text in {"__init____py": source, **files}.items():
            path = place / file.replace("__py", ".py").replace("__slash__", "/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(text), encoding="utf-8")
        return place

    def load(self, *names: str, **options: Any) -> loader.LoadReport:
        """Load packs by name, all without names."""
        chosen = names or [place.name for place in enabled_packs(self.settings.home)]
        return loader.load_packs(self.settings, chosen, **options)

    def registry(self) -> PackRegistry:
        return PackRegistry(self.settings, self.events.append)

    def runner(self) -> Runner:
        return Runner(self.settings, self.events.append, self.registry())

    def run(self, prompt: Mapping[str, Any], runner: Runner | None = None) -> RunResult:
        return (runner or self.runner()).run(Workflow("test", dict(prompt)))

    def values(self, prompt: Mapping[str, Any], node: str, slot: int = 0) -> list[Any]:
        """The values of an output after a run, which must succeed."""
        runner = self.runner()
        result = self.run(prompt, runner)
        if result.error is not None:
            raise result.error
        assert not result.problems, result.problems
        return list(runner.values_of(node, slot))


@pytest.fixture
def home(tmp_path: Path) -> Iterator[PackHome]:
    root = tmp_path / "home"
    (root / "custom_nodes").mkdir(parents=True)
    before, path = set(sys.modules), list(sys.path)
    yield PackHome(root, resolve({"home": root}), [])
    for name in set(sys.modules) - before:
        if name.startswith(str(tmp_path)) or name.partition(".")[0] == "custom_nodes":
            del sys.modules[name]
    sys.path[:] = path
    loader.forget()
    guard.blocked.clear()
    modules.remove()


ONE = """
class One:
    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {}}
    RETURN_TYPES = ("INT",)
    FUNCTION = "one"
    CATEGORY = "test"
    def one(self):
        return (1,)
NODE_CLASS_MAPPINGS = {"One": One}
"""
