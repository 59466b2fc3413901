"""STYLE_MODEL: what a vision encoder sees in pictures, as tokens beside those of a prompt."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from comfykit.errors import ModelFileError, UsageError
from comfykit.families.vision import VisionOutput
from comfykit.memory import Residency
from comfykit.models.style_adapter import StyleAdapter, StyleAdapterConfig
from comfykit.weights.detect import detect, require
from comfykit.weights.layouts import Shapes
from comfykit.weights.load import build
from comfykit.weights.read import open_weights

_LAYER = re.compile(r"transformer_layes\.(\d+)\.")


@dataclass(frozen=True, slots=True, eq=False)
class StyleModel:
    """A style adapter, whose weights stay in their file until they are used."""

    network: StyleAdapter

    def tokens(self, seen: VisionOutput, residency: Residency) -> Tensor:
        """Tokens [1, pictures * tokens, width of prompts] in float32 on the CPU, picture after picture.

        Raises `UsageError` for what another vision encoder saw.
        """
        states, wanted = seen.last_hidden_state, self.network.config.width
        if states.shape[-1] != wanted:
            raise UsageError(
                f"the vision encoder gives {states.shape[-1]} numbers a token, and the style model "
                f"takes {wanted}",
                hint="the style model of T2I-Adapter goes with CLIP ViT-L/14",
            )
        residency.place(self.network, residency.device, torch.float32)
        found = self.network(states.to(residency.device, torch.float32))
        return found.flatten(0, 1)[None].cpu()  # type: ignore[no-any-return]


def load_style(path: Path) -> StyleModel:
    """Open a style model; raises `ModelFileError` that says what the file is when it is none."""
    file = open_weights(path)
    try:
        require(detect(file.shapes), "style_model")
        config = style_config(file.shapes)
    except ModelFileError as error:
        raise ModelFileError(
            f"{path}: {error}", hint=error.hint, **{**error.facts, "path": str(path)}
        ) from error
    network = build(lambda: StyleAdapter(config), file.tensors, what=f"the style model {path.name}")
    return StyleModel(network)


def style_config(shapes: Shapes) -> StyleAdapterConfig:
    """Configuration of the style adapter whose tensors these are; raises `ModelFileError` for others."""
    if "style_embedding" not in shapes or "proj" not in shapes:
        raise ModelFileError(
            "this is a style model of Flux (Redux), which comfykit does not run yet",
            hint="it runs the style model of T2I-Adapter for SD 1.x",
        )
    _, tokens, width = shapes["style_embedding"]
    layers = {int(match[1]) for name in shapes if (match := _LAYER.match(name))}
    return StyleAdapterConfig(width, shapes["proj"][1], len(layers), tokens)
