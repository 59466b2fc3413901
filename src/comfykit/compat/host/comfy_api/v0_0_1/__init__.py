"""ComfyUI's `comfy_api.v0_0_1`: what packs wrote for that version; the next one only added to it."""

from __future__ import annotations

from comfykit.compat.host.comfy_api.v0_0_2 import (
    ComfyAPI,
    ComfyAPISync,
    ComfyExtension,
    Input,
    InputImpl,
    Types,
)
from comfykit.compat.host.comfy_api.v0_0_2 import __getattr__ as __getattr__

__all__ = ["ComfyAPI", "ComfyAPISync", "ComfyExtension", "Input", "InputImpl", "Types"]
