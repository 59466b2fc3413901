"""CLIP's vision encoders in files: which one it is, and OpenCLIP's names to those of transformers."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from torch import Tensor

from comfykit.errors import ModelFileError
from comfykit.models.clip_vision import ClipVisionConfig
from comfykit.weights.layouts import Shapes

# Heads and activation show in no shape. OpenAI's encoders have up to 24 layers (L/14) and 64 channels a head,
# OpenCLIP's 32 (H/14) and 48 (bigG/14) and 16 heads.
LAYERS_OF_OPENAI, CHANNELS_PER_HEAD, HEADS_OF_OPEN_CLIP = 24, 64, 16

_PLACES = {
    "class_embedding": "vision_model.embeddings.class_embedding",
    "positional_embedding": "vision_model.embeddings.position_embedding.weight",
    "conv1.weight": "vision_model.embeddings.patch_embedding.weight",
    "ln_pre.weight": "vision_model.pre_layrnorm.weight",
    "ln_pre.bias": "vision_model.pre_layrnorm.bias",
    "ln_post.weight": "vision_model.post_layernorm.weight",
    "ln_post.bias": "vision_model.post_layernorm.bias",
}
_BLOCK = re.compile(r"transformer\.resblocks\.(\d+)\.(.+)\.(weight|bias)")
_IN_BLOCK = {
    "ln_1": "layer_norm1",
    "ln_2": "layer_norm2",
    "attn.out_proj": "self_attn.out_proj",
    "mlp.c_fc": "mlp.fc1",
    "mlp.c_proj": "mlp.fc2",
}
_IN_PROJECTION = re.compile(r"transformer\.resblocks\.(\d+)\.attn\.in_proj_(weight|bias)")

_LAYER = re.compile(r"vision_model\.encoder\.layers\.(\d+)\.")


def from_open_clip(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of an encoder in OpenCLIP's layout, `visual.` taken off, as `ClipVision` names them: views.

    There queries, keys and values are one matrix, and the projection multiplies from the right.
    """
    found: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        fused, block = _IN_PROJECTION.fullmatch(name), _BLOCK.fullmatch(name)
        if name in _PLACES:
            found[_PLACES[name]] = tensor
        elif name == "proj":
            found["visual_projection.weight"] = tensor.T
        elif fused:
            for part, rows in zip("qkv", tensor.chunk(3), strict=True):
                layer = f"vision_model.encoder.layers.{fused[1]}"
                found[f"{layer}.self_attn.{part}_proj.{fused[2]}"] = rows
        elif block and block[2] in _IN_BLOCK:
            found[f"vision_model.encoder.layers.{block[1]}.{_IN_BLOCK[block[2]]}.{block[3]}"] = tensor
    return found


def clip_vision_config(shapes: Shapes) -> ClipVisionConfig:
    """Configuration of the encoder whose tensors these are, under the names of `ClipVision`.

    Raises `ModelFileError` for vision encoders of other makes.
    """
    try:
        width, _, patch, _ = shapes["vision_model.embeddings.patch_embedding.weight"]
        positions, _ = shapes["vision_model.embeddings.position_embedding.weight"]
        (width,) = shapes["vision_model.embeddings.class_embedding"]
        mlp_width, _ = shapes["vision_model.encoder.layers.0.mlp.fc1.weight"]
    except (KeyError, ValueError) as error:
        raise ModelFileError(
            "this is no vision encoder of CLIP",
            hint="of other makes (SigLIP, DINO, Llava's) none is run yet; take CLIP ViT-L, ViT-H or ViT-bigG",
        ) from error
    layers = 1 + max(int(match[1]) for name in shapes if (match := _LAYER.match(name)))
    openai = layers <= LAYERS_OF_OPENAI
    projection = shapes.get("visual_projection.weight")
    return ClipVisionConfig(
        width=width,
        heads=max(1, width // CHANNELS_PER_HEAD) if openai else HEADS_OF_OPEN_CLIP,
        layers=layers,
        mlp_width=mlp_width,
        size=math.isqrt(positions - 1) * patch,
        patch=patch,
        activation="quick_gelu" if openai else "gelu",
        projection=projection[0] if projection else None,
    )
