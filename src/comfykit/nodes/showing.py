"""Nodes that show something: values as text, masks and pairs of pictures as files in the temp folder."""

from __future__ import annotations

import json
import secrets
from typing import Any

from torch import Tensor

from comfykit.engine.define import node
from comfykit.engine.values import NodeOutput
from comfykit.nodes.context import NodeContext
from comfykit.nodes.masks import mask_to_image
from comfykit.nodes.pictures import metadata
from comfykit.nodes.saving import PREVIEW_COMPRESSION, save_pictures
from comfykit.nodes.types import Anything, Context, ExtraPngInfo, Image, Mask, Prompt


@node("PreviewAny", title="Preview Any", category="utils", output=True)
def preview_any(source: Anything) -> NodeOutput:
    """Show any value as text: what JSON can tell as JSON, other things as Python tells them."""
    return NodeOutput(ui={"text": [as_text(source)]})


@node("MaskPreview", title="MaskPreview", category="mask", output=True)
def mask_preview(
    mask: Mask, context: Context, prompt: Prompt = None, extra_pnginfo: ExtraPngInfo = None
) -> NodeOutput:
    """Show a mask: grey PNG files in the temp folder, under a prefix that no other preview has."""
    texts = metadata(prompt, extra_pnginfo)
    return NodeOutput(ui={"images": _shown(mask_to_image(mask), "mask_preview", texts, context)})


@node("ImageCompare", title="Image Compare", category="image", output=True)
def image_compare(
    context: Context,
    image_a: Image | None = None,
    image_b: Image | None = None,
    prompt: Prompt = None,
    extra_pnginfo: ExtraPngInfo = None,
) -> NodeOutput:
    """Show two pictures side by side: PNG files of each in the temp folder."""
    texts = metadata(prompt, extra_pnginfo)
    given = {"a": image_a, "b": image_b}
    return NodeOutput(
        ui={
            f"{side}_images": _shown(image, f"compare_{side}", texts, context)
            for side, image in given.items()
            if image is not None
        }
    )


def as_text(value: Any) -> str:
    """A value for a person to read."""
    if isinstance(value, str):
        return value
    if value is None or isinstance(value, bool | int | float | Tensor):
        return str(value)
    try:
        return json.dumps(value, indent=4, ensure_ascii=False)
    except (TypeError, ValueError):
        return str(value)


def _shown(images: Tensor, name: str, texts: dict[str, str], context: NodeContext) -> list[dict[str, Any]]:
    prefix = f"{name}_{secrets.token_hex(4)}"
    files = save_pictures(images, prefix, context.settings.temp_dir, texts, PREVIEW_COMPRESSION, context)
    return [{**file, "type": "temp"} for file in files]
