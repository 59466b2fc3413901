"""ComfyUI's `comfy_api.v0_0_1`: what packs wrote for that version; later ones only added to it."""

from __future__ import annotations

import importlib
from typing import Any

from comfykit.compat.host.comfy_api.latest import (
    ComfyAPI,
    ComfyAPISync,
    ComfyExtension,
    Input,
    InputImpl,
    Types,
)


def __getattr__(name: str) -> Any:
    if name.lower() in ("io", "ui"):
        return importlib.import_module(f"comfy_api.latest.{name.lower()}")
    raise AttributeError(name)


__all__ = ["ComfyAPI", "ComfyAPISync", "ComfyExtension", "Input", "InputImpl", "Types"]
