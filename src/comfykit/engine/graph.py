"""The graph of a workflow: nodes by id, links between them.

The API form is `{id: {"class_type": ..., "inputs": {...}, "_meta": {"title": ...}}}`. An input that is
a list of two items, a node id and a slot number, is a link; a list that is meant as a value is
wrapped as `{"__value__": [...]}`; anything else is a constant.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeGuard

Value = Any
LITERAL = "__value__"
LONGEST_LOOP = 100


def is_link(value: object) -> TypeGuard[list[Any]]:
    """Whether an input's value is a link `[node id, slot]`."""
    return (
        type(value) is list
        and len(value) == 2
        and isinstance(value[0], str)
        and type(value[1]) in (int, float)  # and not bool, which is an int too
    )


@dataclass(frozen=True, slots=True)
class Node:
    """One node. `inputs` holds links and constants by name.

    A node that another one expanded into has that one as `parent` and is shown to people as `display`.
    """

    id: str
    class_type: str
    inputs: Mapping[str, Value]
    title: str = ""
    parent: str | None = None
    display: str = ""

    def links(self) -> list[tuple[str, str, int]]:
        """(input name, source id, source slot) of every linked input."""
        return [(name, value[0], int(value[1])) for name, value in self.inputs.items() if is_link(value)]

    def sources(self) -> list[str]:
        """Ids of the nodes that feed it; a graph is walked by these, so it is the fast way to them."""
        return [value[0] for value in self.inputs.values() if type(value) is list and is_link(value)]


@dataclass(slots=True)
class Graph:
    """Nodes by id, in the order of the file. Expansion adds to it while it runs."""

    nodes: dict[str, Node] = field(default_factory=dict)

    def __getitem__(self, node: str) -> Node:
        return self.nodes[node]

    def __contains__(self, node: object) -> bool:
        return node in self.nodes

    def __iter__(self) -> Iterator[Node]:
        return iter(self.nodes.values())

    def __len__(self) -> int:
        return len(self.nodes)

    def copy(self) -> Graph:
        """The same nodes in a graph of their own."""
        return Graph(dict(self.nodes))


def graph_from_prompt(prompt: Mapping[str, Any]) -> Graph:
    """A graph from the API form; the form itself is checked by `comfykit.workflow`.

    A node without a class or with other inputs than a mapping is kept as it is: `validate` says so.
    """
    graph = Graph()
    for key, entry in prompt.items():
        meta = entry.get("_meta")
        title = meta.get("title", "") if isinstance(meta, Mapping) else ""
        inputs = entry.get("inputs")
        graph.nodes[key] = Node(
            id=key,
            class_type=str(entry.get("class_type") or ""),
            inputs=inputs if isinstance(inputs, Mapping) else {},
            title=str(title),
            display=key,
        )
    return graph


@dataclass(frozen=True, slots=True)
class Upstream:
    """What some nodes need: `order` has sources before what they feed, `cycles` the loops that were met.

    A loop begins and ends with the same node; of one with more than `LONGEST_LOOP` nodes some are left out.
    """

    order: list[str]
    cycles: list[list[str]]


def upstream(graph: Graph, roots: Iterable[str]) -> Upstream:
    """Every node that `roots` depend on, themselves included, in linear time and without recursion.

    Links to nodes that are not there are passed over.
    """
    order: list[str] = []
    cycles: list[list[str]] = []
    entered: set[str] = set()
    left: set[str] = set()
    for root in roots:
        if root in entered:
            continue
        entered.add(root)
        path = [(root, iter(graph[root].sources()))]
        depth = {root: 0}
        while path:
            node, links = path[-1]
            for source in links:
                if source not in graph:
                    continue
                if source not in entered:
                    entered.add(source)
                    depth[source] = len(path)
                    path.append((source, iter(graph[source].sources())))
                    break
                if source not in left:
                    loop = path[depth[source] : depth[source] + LONGEST_LOOP]
                    cycles.append([*(step for step, _ in loop), source])
            else:
                left.add(node)
                order.append(node)
                path.pop()
    return Upstream(order, cycles)
