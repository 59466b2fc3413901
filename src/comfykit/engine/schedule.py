"""Which node is next.

A node is ready when every node it needs has finished. Of the ready ones go first those that end
something (output nodes, asynchronous nodes), then those that feed an output, then those two links
away from one, then the one that was added first: results are seen early and released early.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Iterable

from comfykit.engine.graph import Graph, Node
from comfykit.engine.registry import Registry


class Schedule:
    """Topological order, found while it is walked, since lazy inputs and expansion add to the graph."""

    def __init__(self, graph: Graph, registry: Registry, is_done: Callable[[str], bool]) -> None:
        self._graph = graph
        self._registry = registry
        self._is_done = is_done
        self._waiting: dict[str, int] = {}  # node -> how many of its sources are unfinished
        self._feeds: dict[str, list[str]] = {}  # unfinished source -> nodes that wait for it
        self._near_output: set[str] = set()
        self._ready: list[tuple[int, int, str]] = []
        self._order = itertools.count()

    def __len__(self) -> int:
        return len(self._waiting)

    def require(self, nodes: Iterable[str]) -> None:
        """Add nodes and all that they need and that is not done yet."""
        stack = [n for n in dict.fromkeys(nodes) if n not in self._waiting and not self._is_done(n)]
        for node in stack:
            self._waiting[node] = 0
        fresh = list(stack)
        while stack:
            node = stack.pop()
            for source in self._sources(self._graph[node]):
                if self._is_done(source):
                    continue
                if source not in self._waiting:
                    self._waiting[source] = 0
                    stack.append(source)
                    fresh.append(source)
                self._connect(source, node)
        for node in fresh:
            self._push_if_ready(node)

    def wait(self, node: str, sources: Iterable[str]) -> None:
        """Put a node that was taken back, to be taken again when these nodes have finished too."""
        sources = [source for source in dict.fromkeys(sources) if not self._is_done(source)]
        self.require(sources)
        for source in sources:
            self._connect(source, node)
        self._push_if_ready(node)

    def take(self) -> str | None:
        """The next node; None when none is ready."""
        return heapq.heappop(self._ready)[2] if self._ready else None

    def finish(self, node: str) -> None:
        """The node has its outputs."""
        self._waiting.pop(node, None)
        for waiting in self._feeds.pop(node, ()):
            self._waiting[waiting] -= 1
            self._push_if_ready(waiting)

    def _sources(self, node: Node) -> Iterable[str]:
        """Nodes that must finish first; lazy inputs and raw links need not."""
        inputs = self._registry[node.class_type].inputs
        for name, source, _ in node.links():
            spec = inputs.get(name)
            if spec is not None and not spec.lazy and not spec.raw_link:
                yield source

    def _connect(self, source: str, node: str) -> None:
        self._feeds.setdefault(source, []).append(node)
        self._waiting[node] += 1
        if self._ends(node):
            self._near_output.add(source)

    def _ends(self, node: str) -> bool:
        entry = self._registry[self._graph[node].class_type]
        return entry.output_node or entry.asynchronous

    def _push_if_ready(self, node: str) -> None:
        if self._waiting[node] == 0:
            heapq.heappush(self._ready, (self._rank(node), next(self._order), node))

    def _rank(self, node: str) -> int:
        if self._ends(node):
            return 0
        if node in self._near_output:
            return 1
        return 2 if any(fed in self._near_output for fed in self._feeds.get(node, ())) else 3
