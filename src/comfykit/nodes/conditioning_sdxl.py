"""Prompts for SDXL, which is told sizes and crop of the pictures that it should think of."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from comfykit.engine.define import integer, node, number
from comfykit.families.scheduled_text import encode_to_link
from comfykit.nodes.conditioning import LARGEST, LongText, embeddings, with_options
from comfykit.nodes.types import Clip, Conditioning, Context

Side: TypeAlias = Annotated[int, integer(1024, 0, LARGEST)]
Crop: TypeAlias = Annotated[int, integer(0, 0, LARGEST)]


@node("CLIPTextEncodeSDXL", title="CLIPTextEncodeSDXL", category="advanced/conditioning")
def clip_text_encode_sdxl(
    context: Context,
    clip: Clip,
    width: Side,
    height: Side,
    crop_w: Crop,
    crop_h: Crop,
    target_width: Side,
    target_height: Side,
    text_g: LongText,
    text_l: LongText,
) -> Conditioning:
    """Encode a prompt for each of SDXL's text encoders, with sizes.

    `width` and `height` are those of the training picture to think of: small ones look enlarged. `crop_w`
    and `crop_h` say how far it was cropped at the left and the top: 0 keeps the subject in the middle.
    """
    prompts = {"clip_g": text_g, "clip_l": text_l}
    return with_options(
        encode_to_link(clip, prompts, context.residency, embeddings(context)),
        width=width,
        height=height,
        crop_w=crop_w,
        crop_h=crop_h,
        target_width=target_width,
        target_height=target_height,
    )


@node("CLIPTextEncodeSDXLRefiner", title="CLIPTextEncodeSDXLRefiner", category="advanced/conditioning")
def clip_text_encode_sdxl_refiner(
    context: Context,
    ascore: Annotated[float, number(6.0, 0.0, 1000.0)],
    width: Side,
    height: Side,
    text: LongText,
    clip: Clip,
) -> Conditioning:
    """Encode a prompt for SDXL's refiner; `ascore` is how pretty the picture should be, about 2 to 7."""
    return with_options(
        encode_to_link(clip, text, context.residency, embeddings(context)),
        aesthetic_score=ascore,
        width=width,
        height=height,
    )
