"""Text encoders from the tensors of a file, whatever layout they have there."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from comfykit.errors import ModelFileError
from comfykit.models.clip_text import Activation, ClipText
from comfykit.text.clip import ClipEncoder, build_clip_text, config_from_shapes
from comfykit.text.open_clip import from_open_clip
from comfykit.text.tokenizer import OPEN_CLIP
from comfykit.weights.detect import TextPart
from comfykit.weights.read import take

PROJECTION = "text_projection.weight"


def clip_l(tensors: Mapping[str, Tensor], part: TextPart, *, layer: int, normed: bool) -> ClipEncoder:
    """OpenAI's CLIP ViT-L/14; its projection is left out, as no family uses it."""
    own = _tensors(tensors, part)
    own.pop(PROJECTION, None)
    return ClipEncoder(_network(own, "quick_gelu"), layer=layer, normed=normed)


def open_clip(
    tensors: Mapping[str, Tensor], part: TextPart, slot: str, *, layer: int, normed: bool
) -> ClipEncoder:
    """One of OpenCLIP's encoders: ViT-H/14 in the slot `clip_h`, ViT-bigG/14 in `clip_g`."""
    network = _network(_tensors(tensors, part), "gelu")
    return ClipEncoder(network, OPEN_CLIP, slot, layer, normed)


def only_part(parts: tuple[TextPart, ...], what: str) -> TextPart:
    """The one text encoder that was found; raises `ModelFileError` naming `what` where there are others."""
    if len(parts) != 1 or parts[0].layout == "t5":
        raise ModelFileError(f"{what} has one CLIP text encoder, and {len(parts) or 'none'} were found")
    return parts[0]


def _network(tensors: Mapping[str, Tensor], activation: Activation) -> ClipText:
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    return build_clip_text(tensors, config_from_shapes(shapes, activation=activation))


def _tensors(tensors: Mapping[str, Tensor], part: TextPart) -> dict[str, Tensor]:
    """An encoder's tensors under the names of `ClipText`."""
    own = take(tensors, part.prefix)
    if part.layout == "open_clip":
        return from_open_clip(own)
    beside = part.prefix.removesuffix("text_model.") + PROJECTION
    return {**own, PROJECTION: tensors[beside]} if beside in tensors else own
