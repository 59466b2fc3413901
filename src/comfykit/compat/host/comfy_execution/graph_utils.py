"""ComfyUI's `comfy_execution.graph_utils`: builds the graph that a node expands into."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from comfykit.compat import running


def _at_work() -> str:
    context = running.node()
    return "" if context is None else context.node


def is_link(obj: Any) -> bool:
    """Whether an input's value is a link: a list of a node's id and a slot."""
    return (
        isinstance(obj, list)
        and len(obj) == 2
        and isinstance(obj[0], str)
        and isinstance(obj[1], int | float)
    )


class GraphBuilder:
    """Makes nodes whose ids begin with a prefix that no other expansion has.

    It begins with the node at work, or what `set_default_prefix` says; the graphs of a process are numbered.
    """

    _default_prefix_root = ""
    _default_prefix_call_index = 0
    _default_prefix_graph_index = 0

    def __init__(self, prefix: str | None = None) -> None:
        self.prefix = GraphBuilder.alloc_prefix() if prefix is None else prefix
        self.nodes: dict[str, Node] = {}
        self.id_gen = 1

    @classmethod
    def set_default_prefix(cls, prefix_root: str, call_index: int, graph_index: int = 0) -> None:
        cls._default_prefix_root = prefix_root
        cls._default_prefix_call_index = call_index
        cls._default_prefix_graph_index = graph_index

    @classmethod
    def alloc_prefix(
        cls, root: str | None = None, call_index: int | None = None, graph_index: int | None = None
    ) -> str:
        """The prefix of the next graph: the node's id, the number of its call, that of the graph."""
        root = GraphBuilder._default_prefix_root or _at_work() if root is None else root
        call_index = GraphBuilder._default_prefix_call_index if call_index is None else call_index
        graph_index = GraphBuilder._default_prefix_graph_index if graph_index is None else graph_index
        GraphBuilder._default_prefix_graph_index += 1
        return f"{root}.{call_index}.{graph_index}."

    def node(self, class_type: str, id: str | None = None, **kwargs: Any) -> Node:
        """A node of the graph: the one of that id if there is one, else a new one."""
        if id is None:
            id = str(self.id_gen)
            self.id_gen += 1
        name = self.prefix + id
        if name not in self.nodes:
            self.nodes[name] = Node(name, class_type, kwargs)
        return self.nodes[name]

    def lookup_node(self, id: str) -> Node | None:
        return self.nodes.get(self.prefix + id)

    def finalize(self) -> dict[str, dict[str, Any]]:
        """The graph in API form."""
        return {name: node.serialize() for name, node in self.nodes.items()}

    def replace_node_output(self, node_id: str, index: int, new_value: Any) -> None:
        """What linked to an output gets a value instead; None takes the input away."""
        link = [self.prefix + node_id, index]
        for node in self.nodes.values():
            for name in [name for name, value in node.inputs.items() if is_link(value) and value == link]:
                if new_value is None:
                    del node.inputs[name]
                else:
                    node.inputs[name] = new_value

    def remove_node(self, id: str) -> None:
        del self.nodes[self.prefix + id]


class Node:
    """One node of a graph that is built."""

    def __init__(self, id: str, class_type: str, inputs: dict[str, Any]) -> None:
        self.id = id
        self.class_type = class_type
        self.inputs = inputs
        self.override_display_id: str | None = None

    def out(self, index: int) -> list[Any]:
        """A link to an output."""
        return [self.id, index]

    def set_input(self, key: str, value: Any) -> None:
        """Set an input; None takes it away."""
        if value is None:
            self.inputs.pop(key, None)
        else:
            self.inputs[key] = value

    def get_input(self, key: str) -> Any:
        return self.inputs.get(key)

    def set_override_display_id(self, override_display_id: str) -> None:
        self.override_display_id = override_display_id

    def serialize(self) -> dict[str, Any]:
        entry: dict[str, Any] = {"class_type": self.class_type, "inputs": self.inputs}
        if self.override_display_id is not None:
            entry["override_display_id"] = self.override_display_id
        return entry


def add_graph_prefix(
    graph: Mapping[str, Mapping[str, Any]], outputs: Sequence[Any], prefix: str
) -> tuple[dict[str, Any], tuple[Any, ...]]:
    """A graph in API form and values that may link into it, all ids with a prefix."""

    def prefixed(value: Any) -> Any:
        return [prefix + value[0], value[1]] if is_link(value) else value

    nodes = {
        prefix + node_id: {
            **entry,
            "inputs": {name: prefixed(value) for name, value in entry.get("inputs", {}).items()},
        }
        for node_id, entry in graph.items()
    }
    return nodes, tuple(prefixed(value) for value in outputs)
