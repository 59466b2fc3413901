"""CLIP vision encoders: pictures as a part of what models are asked for."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from comfykit.engine.define import combo, node, socket
from comfykit.engine.schema import Listing
from comfykit.families.vision import VisionEncoder, VisionOutput, load_vision
from comfykit.nodes.types import Context, Image

ClipVision: TypeAlias = Annotated[VisionEncoder, socket("CLIP_VISION")]
ClipVisionOutput: TypeAlias = Annotated[VisionOutput, socket("CLIP_VISION_OUTPUT")]


@node("CLIPVisionLoader", title="Load CLIP Vision", category="loaders")
def clip_vision_loader(
    context: Context, clip_name: Annotated[str, combo(Listing("models/clip_vision"))]
) -> ClipVision:
    """Load a CLIP vision encoder (ViT-B, ViT-L, ViT-H or ViT-bigG) from models/clip_vision."""
    return load_vision(context.settings.home.find("clip_vision", clip_name))


@node("CLIPVisionEncode", title="CLIP Vision Encode", category="conditioning")
def clip_vision_encode(
    context: Context,
    clip_vision: ClipVision,
    image: Image,
    crop: Annotated[str, combo(("center", "none"))],
) -> ClipVisionOutput:
    """Look at pictures with a CLIP vision encoder.

    It sees squares: "center" cuts off what is beside the middle, "none" squeezes the whole picture.
    """
    return clip_vision.encode(image, context.residency, crop=crop == "center")
