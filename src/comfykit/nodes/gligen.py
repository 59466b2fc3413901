"""GLIGEN: phrases with places."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from comfykit.engine.define import combo, integer, node, socket
from comfykit.engine.schema import Listing
from comfykit.families.gligen import GligenModel, checked, load_gligen
from comfykit.nodes.conditioning import LongText, Place, embeddings
from comfykit.nodes.types import Clip, Conditioning, Context

GligenInput: TypeAlias = Annotated[GligenModel, socket("GLIGEN")]

LARGEST = 16384
CELL = 8

Side: TypeAlias = Annotated[int, integer(64, 8, LARGEST, 8)]


@node("GLIGENLoader", title="GLIGENLoader", category="loaders")
def gligen_loader(
    context: Context, gligen_name: Annotated[str, combo(Listing("models/gligen"))]
) -> GligenInput:
    """Load a GLIGEN text box model for SD 1.x from models/gligen."""
    return load_gligen(context.settings.home.find("gligen", gligen_name))


@node("GLIGENTextBoxApply", title="GLIGENTextBoxApply", category="conditioning/gligen")
def gligen_text_box_apply(
    context: Context,
    conditioning_to: Conditioning,
    clip: Clip,
    gligen_textbox_model: GligenInput,
    text: LongText,
    width: Side,
    height: Side,
    x: Place,
    y: Place,
) -> Conditioning:
    """Say what belongs into a box of the picture, given in pixels; several nodes in a row make several boxes.

    The prompt should name it too. Up to 30 boxes count.
    """
    pooled = clip.encode(text, context.residency, embeddings(context)).pooled
    box = (pooled, height // CELL, width // CELL, y // CELL, x // CELL)
    result = []
    for embedding, options in conditioning_to:
        before = options["gligen"][2] if "gligen" in options else ()
        boxes = list(checked(gligen_textbox_model, [*before, box]))
        result.append([embedding, {**options, "gligen": ("position", gligen_textbox_model, boxes)}])
    return result
