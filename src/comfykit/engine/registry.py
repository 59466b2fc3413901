"""Node classes by name."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from types import ModuleType

from comfykit.engine.define import node_class
from comfykit.engine.graph import Graph
from comfykit.engine.schema import Missing, NodeClass


class Registry:
    """The node classes that a workflow may name."""

    def __init__(self, classes: Iterable[NodeClass] = ()) -> None:
        self._classes: dict[str, NodeClass] = {}
        for entry in classes:
            self.add(entry)

    def add(self, entry: NodeClass) -> None:
        """Add a class; a later one of the same name replaces an earlier one."""
        self._classes[entry.name] = entry

    def add_module(self, module: ModuleType) -> None:
        """Add every class that `@node` made in a module."""
        for value in vars(module).values():
            entry = node_class(value)
            if entry is not None and entry.module == module.__name__:
                self.add(entry)

    def get(self, name: str) -> NodeClass | None:
        """The class of that name, or None."""
        return self._classes.get(name)

    def __getitem__(self, name: str) -> NodeClass:
        return self._classes[name]

    def __contains__(self, name: object) -> bool:
        return name in self._classes

    def __iter__(self) -> Iterator[NodeClass]:
        return iter(self._classes.values())

    def __len__(self) -> int:
        return len(self._classes)

    def prepare(self, names: Iterable[str]) -> None:
        """A workflow that names these classes is looked at next."""

    def prepare_graph(self, graph: Graph) -> None:
        """A workflow is looked at next: its classes, and what its values name."""
        self.prepare(node.class_type for node in graph)

    def explain(self, name: str) -> Missing | None:
        """Why there is no class of that name, where more is known than that."""
        return None

    def nearest(self, name: str) -> list[str]:
        """Up to three class names that `name` may have been meant as."""
        return difflib.get_close_matches(name, self._classes, n=3, cutoff=0.6)
