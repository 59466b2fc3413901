"""`comfy.ldm.util`: small things."""

from __future__ import annotations

from comfykit.compat.host.comfy.ldm.modules.attention import default, exists

__all__ = ["default", "exists"]
