"""ComfyUI's `comfy_execution.utils`: which node is at work."""

from __future__ import annotations

from typing import NamedTuple

from comfykit.compat import running


class ExecutionContext(NamedTuple):
    """A node at work; runs here have no ids of their own."""

    prompt_id: str
    node_id: str
    list_index: int | None


def get_executing_context() -> ExecutionContext | None:
    """The node at work, None between nodes."""
    context = running.node()
    return None if context is None else ExecutionContext("", context.node, None)
