"""`comfy.cldm.cldm`: our ControlNet by name, to compare with."""

from __future__ import annotations

from typing import Any

from comfykit.compat.host.comfy.ldm.modules.attention import name_of
from comfykit.models import controlnet

ControlNet: Any = name_of(controlnet.ControlNet, "ControlNet", __name__)
