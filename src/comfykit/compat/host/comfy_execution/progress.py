"""ComfyUI's `comfy_execution.progress`: how far the nodes of a run are."""

from __future__ import annotations

from typing import Any

from comfykit.compat.host.comfy.utils import ProgressBar


class ProgressRegistry:
    """Takes the progress of nodes and reports it."""

    def update_progress(self, node_id: str, value: float, max_value: float = 1.0, image: Any = None) -> None:
        """`value` of `max_value` is done of a node; `image` is (format, picture, longest side)."""
        whole = max_value if max_value > 1 else 100
        ProgressBar(int(whole), node_id).update_absolute(int(value / max_value * whole), preview=image)


_registry = ProgressRegistry()


def get_progress_state() -> ProgressRegistry:
    return _registry
