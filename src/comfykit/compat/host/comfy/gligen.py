"""`comfy.gligen`: GLIGEN by name. Boxes act by way of conditionings; packs that change how are counted."""

from __future__ import annotations

from typing import Any

from comfykit.compat.absent import functions
from comfykit.compat.host.comfy.ldm.modules.attention import name_of
from comfykit.models import gligen

Gligen: Any = name_of(gligen.Gligen, "Gligen", __name__)

# Packs wrap it; our runs do not ask it, and calling it says so.
type.__setattr__(Gligen, "_set_position", functions(__name__, "_set_position")["_set_position"])
