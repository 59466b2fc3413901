"""ComfyUI's `comfy_execution.graph`: the workflow that runs, and the value that blocks it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from comfykit.engine.graph import Graph, Node, graph_from_prompt
from comfykit.engine.values import ExecutionBlocker
from comfykit.errors import ComfykitError

__all__ = [
    "DependencyCycleError",
    "DynamicPrompt",
    "ExecutionBlocker",
    "NodeInputError",
    "NodeNotFoundError",
    "get_input_info",
]


class DependencyCycleError(ComfykitError):
    """Nodes that wait for one another."""


class NodeInputError(ComfykitError):
    """An input that cannot be used."""


class NodeNotFoundError(ComfykitError):
    """No node of that id."""


class DynamicPrompt:
    """The workflow with the nodes that others expanded into: what a node gets for hidden DYNPROMPT."""

    def __init__(self, original_prompt: Mapping[str, Any]) -> None:
        self.original_prompt = original_prompt
        self._graph = graph_from_prompt(original_prompt)

    @classmethod
    def of(cls, graph: Graph, original_prompt: Mapping[str, Any] | None = None) -> DynamicPrompt:
        """A view of the graph that runs; without the prompt, that is made from the graph."""
        made = cls.__new__(cls)
        made._graph = graph
        if original_prompt is None:
            original_prompt = {node.id: _entry(node) for node in graph if node.parent is None}
        made.original_prompt = original_prompt
        return made

    def get_node(self, node_id: str) -> dict[str, Any]:
        """A node as the API form has it."""
        return _entry(self._found(node_id))

    def has_node(self, node_id: str) -> bool:
        return node_id in self._graph

    def get_real_node_id(self, node_id: str) -> str:
        """The node of the workflow that this one comes from."""
        while (parent := self.get_parent_node_id(node_id)) is not None:
            node_id = parent
        return node_id

    def get_parent_node_id(self, node_id: str) -> str | None:
        """The node that expanded into this one."""
        return self._graph[node_id].parent if node_id in self._graph else None

    def get_display_node_id(self, node_id: str) -> str:
        """The node that this one is shown as."""
        return self._graph[node_id].display if node_id in self._graph else node_id

    def all_node_ids(self) -> set[str]:
        return {node.id for node in self._graph}

    def get_original_prompt(self) -> Mapping[str, Any]:
        return self.original_prompt

    def _found(self, node_id: str) -> Node:
        if node_id not in self._graph:
            raise NodeNotFoundError(f"Node {node_id} not found")
        return self._graph[node_id]


def _entry(node: Node) -> dict[str, Any]:
    entry: dict[str, Any] = {"class_type": node.class_type, "inputs": dict(node.inputs)}
    return {**entry, "_meta": {"title": node.title}} if node.title else entry


def get_input_info(
    class_def: Any, input_name: str, valid_inputs: Mapping[str, Any] | None = None
) -> tuple[Any, str | None, Any]:
    """Type, group and options of an input of a node class; None, None, None for an unknown one."""
    groups = class_def.INPUT_TYPES() if valid_inputs is None else valid_inputs
    for group in ("required", "optional", "hidden"):
        if group in groups and input_name in groups[group]:
            found = groups[group][input_name]
            if group == "hidden":
                return found, group, {}
            return found[0], group, found[1] if len(found) > 1 else {}
    return None, None, None
