"""What a pack's function returned, as the engine takes it.

ComfyUI reads slot after slot by index, so that anything that can be indexed passes for the tuple of
outputs; a `NodeOutput` of the newer interface holds the same by names.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from comfykit.compat.crossing import to_engine
from comfykit.engine.values import ExecutionBlocker, NodeOutput


def normal(returned: Any, count: int) -> NodeOutput | ExecutionBlocker | None:
    """A result for the engine; `count` is how many outputs the class has."""
    if returned is None or isinstance(returned, NodeOutput | ExecutionBlocker):
        return returned
    if isinstance(returned, Mapping):
        return NodeOutput(
            _slots(returned.get("result"), count),
            shown(returned.get("ui")),
            _expanded(returned.get("expand")),
        )
    if hasattr(returned, "block_execution") and hasattr(returned, "result"):
        return _of_new_interface(returned, count)
    return NodeOutput(_slots(returned, count))


def _of_new_interface(output: Any, count: int) -> NodeOutput:
    blocked = output.block_execution
    result = ExecutionBlocker(blocked) if blocked is not None else _slots(output.result, count)
    return NodeOutput(result, shown(output.ui), _expanded(output.expand))


def _expanded(graph: Any) -> Any:
    """A graph to expand into; objects that a pack put into it as constants become those of the engine."""
    if not isinstance(graph, Mapping):
        return graph
    return {
        key: {**node, "inputs": {name: to_engine(value) for name, value in node["inputs"].items()}}
        if isinstance(node, Mapping) and isinstance(node.get("inputs"), Mapping)
        else node
        for key, node in graph.items()
    }


def _slots(result: Any, count: int) -> tuple[Any, ...] | ExecutionBlocker | None:
    if result is None or isinstance(result, ExecutionBlocker):
        return result
    try:
        size = len(result) if isinstance(result, tuple | list) else min(count, len(result))
        return tuple(to_engine(result[index]) for index in range(size))
    except (TypeError, KeyError, IndexError) as error:
        raise TypeError(f"it returned {type(result).__name__}, not a tuple of its outputs") from error


def shown(ui: Any) -> dict[str, list[Any]]:
    """What a front end is shown, from a dictionary or an object that makes one."""
    if ui is not None and not isinstance(ui, Mapping) and hasattr(ui, "as_dict"):
        ui = ui.as_dict()
    if not isinstance(ui, Mapping):
        return {}
    return {str(key): list(items) if isinstance(items, tuple) else items for key, items in ui.items()}
