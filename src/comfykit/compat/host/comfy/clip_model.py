"""`comfy.clip_model`: our CLIP networks by name, to compare with."""

from __future__ import annotations

from typing import Any

from comfykit.compat.host.comfy.ldm.modules.attention import name_of
from comfykit.models import clip_text, clip_vision

CLIPTextModel: Any = name_of(clip_text.ClipText, "CLIPTextModel", __name__)
CLIPVisionModelProjection: Any = name_of(clip_vision.ClipVision, "CLIPVisionModelProjection", __name__)
