"""Text encoders from files of their own."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from comfykit.errors import ModelFileError, UsageError
from comfykit.families.components import TextEncoder
from comfykit.families.load import open_detected
from comfykit.families.sdxl import text_encoders
from comfykit.families.text_encoders import clip_l, open_clip
from comfykit.text.encoders import ClipEncoders, PromptEncoder
from comfykit.weights.detect import TextPart

# Layers of CLIP ViT-L/14 and of OpenCLIP ViT-H/14; OpenCLIP ViT-bigG/14 has 32.
LAYERS_OF_L, LAYERS_OF_H = 12, 24

_LAYER = re.compile(r"(?:encoder\.layers|transformer\.resblocks)\.(\d+)\.")


def load_text_encoder(paths: Sequence[Path], kind: str, device: torch.device | None = None) -> TextEncoder:
    """Open the text encoders of a kind of model: `stable_diffusion` has one file, `sdxl` two in any order.

    Raises `UsageError` for kinds of models that comfykit does not run, `ModelFileError` for other files.
    """
    build = _BUILDERS.get(kind)
    if build is None:
        raise UsageError(
            f"text encoders of the type {kind} are for models that comfykit does not run yet",
            hint=f"it knows {', '.join(_BUILDERS)}",
        )
    tensors: dict[str, Tensor] = {}
    parts: list[TextPart] = []
    for number, path in enumerate(paths):
        file, found = open_detected(path, "text_encoder")
        within = f"{number}."  # two files may use the same names
        tensors |= {within + name: tensor for name, tensor in file.tensors.items()}
        parts += [replace(part, prefix=within + part.prefix) for part in found.text]
    return TextEncoder(build(tensors, tuple(parts)), device=device)


def one_clip(tensors: Mapping[str, Tensor], parts: tuple[TextPart, ...]) -> ClipEncoders:
    """A CLIP encoder for SD 1.x, SD 2.x or the SDXL refiner: its depth says for which."""
    part = next((part for part in parts if part.layout != "t5"), None)
    if part is None:
        raise ModelFileError("the file holds no CLIP text encoder, which Stable Diffusion has")
    layers = _depth(tensors, part)
    if layers <= LAYERS_OF_L:
        return ClipEncoders((clip_l(tensors, part, layer=-1, normed=True),))
    if layers <= LAYERS_OF_H:
        # Files of diffusers leave out the last layer, which SD 2.x does not use.
        layer = -2 if layers == LAYERS_OF_H else -1
        return ClipEncoders((open_clip(tensors, part, "clip_h", layer=layer, normed=True),))
    return ClipEncoders((open_clip(tensors, part, "clip_g", layer=-2, normed=False),))


def _depth(tensors: Mapping[str, Tensor], part: TextPart) -> int:
    names = (name.removeprefix(part.prefix) for name in tensors if name.startswith(part.prefix))
    found = (match for name in names if (match := _LAYER.match(name)))
    return 1 + max((int(match[1]) for match in found), default=-1)


_BUILDERS: Mapping[str, Callable[[Mapping[str, Tensor], tuple[TextPart, ...]], PromptEncoder]] = {
    "stable_diffusion": one_clip,
    "sdxl": text_encoders,
}
