"""ComfyUI's `comfy_execution.validation`: whether an output fits an input."""

from __future__ import annotations

from comfykit.engine.schema import types_match


def validate_node_input(received_type: str, input_type: str, strict: bool = False) -> bool:
    """Whether types overlap; `strict` asks that the input takes every type that may come."""
    if not received_type != input_type:  # noqa: SIM202  (packs make types whose `!=` is always False)
        return True
    if not isinstance(received_type, str) or not isinstance(input_type, str):
        return False
    if not strict:
        return types_match(received_type, input_type)
    given = {part.strip() for part in received_type.split(",")}
    return given <= {part.strip() for part in input_type.split(",")}
