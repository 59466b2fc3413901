"""ComfyUI's `execution`: names around its executor. Workflows are run by `comfykit.engine`, not by these."""

from __future__ import annotations

from typing import Any

from comfykit.compat import running
from comfykit.compat.host.comfy_execution.graph import ExecutionBlocker

__all__ = ["ExecutionBlocker", "PromptQueue", "full_type_name", "validate_prompt"]


def full_type_name(klass: type) -> str:
    """A class by its dotted name, built-in ones by their own."""
    if klass.__module__ == "builtins":
        return klass.__qualname__
    return f"{klass.__module__}.{klass.__qualname__}"


async def validate_prompt(
    prompt_id: Any, prompt: dict[str, Any], partial_execution_list: Any = None
) -> tuple[bool, dict[str, Any] | None, list[str], dict[str, Any]]:
    """Whether a workflow in API form names only classes that there are, and an output.

    As ComfyUI answers: whether it may run, the error, the output nodes, errors by node.
    """
    from comfykit.compat.host.nodes import NODE_CLASS_MAPPINGS

    outputs = []
    for node, entry in prompt.items():
        found = NODE_CLASS_MAPPINGS.get(entry.get("class_type"))
        if found is None:
            said = f"Cannot execute because node {entry.get('class_type')} does not exist."
            return False, _error("invalid_prompt", said, f"Node ID '#{node}'"), [], {}
        if getattr(found, "OUTPUT_NODE", False):
            outputs.append(node)
    if not outputs:
        return False, _error("prompt_no_outputs", "Prompt has no outputs", ""), [], {}
    return True, None, outputs, {}


def _error(kind: str, message: str, details: str) -> dict[str, Any]:
    return {"type": kind, "message": message, "details": details, "extra_info": {}}


class PromptQueue:
    """The queue of the server: what runs now, and nothing that waits."""

    def __init__(self, server: Any = None) -> None:
        self.server = server
        self.queue: list[Any] = []
        self.history: dict[str, Any] = {}

    @property
    def currently_running(self) -> dict[int, Any]:
        context = running.node()
        return {} if context is None else {0: (0, "", {}, {}, [])}

    def get_tasks_remaining(self) -> int:
        return len(self.currently_running)

    def get_current_queue(self) -> tuple[list[Any], list[Any]]:
        return list(self.currently_running.values()), []

    def get_current_queue_volatile(self) -> tuple[list[Any], list[Any]]:
        return self.get_current_queue()

    def get_history(
        self, prompt_id: str | None = None, max_items: int | None = None, offset: int = -1
    ) -> dict[str, Any]:
        return {}

    def wipe_history(self) -> None:
        """No history is kept."""

    def wipe_queue(self) -> None:
        """Nothing waits."""

    def get_flags(self, reset: bool = True) -> dict[str, Any]:
        return {}
