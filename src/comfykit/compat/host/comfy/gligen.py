"""`comfy.gligen`: GLIGEN by name. Boxes act by way of conditionings; packs that change how are counted."""

from __future__ import annotations

from typing import Any

from comfykit.compat.host.comfy.ldm.modules.attention import name_of
from comfykit.models import gligen

Gligen: Any = name_of(gligen.Gligen, "Gligen", __name__)


def _set_position(self: Any, boxes: Any, masks: Any, positive_embeddings: Any) -> Any:
    """What packs wrap; our runs do not ask it."""
    raise NotImplementedError


type.__setattr__(Gligen, "_set_position", _set_position)
