"""GLIGEN and its part in a run: phrases in boxes, which a U-Net attends to.

On a link a conditioning has them as `gligen`: ("position", model, boxes), each box the phrase's pooled
vector [1, width], then height, width, top and left in cells of the latent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import torch
from torch import Tensor

from comfykit.errors import ModelFileError, UsageError
from comfykit.memory import Residency
from comfykit.models.gligen import MOST_BOXES, Gligen, transformer_path
from comfykit.models.hooks import AttentionInfo, UNetHooks
from comfykit.models.unet import UNet
from comfykit.sampling.denoiser import Evaluation
from comfykit.weights.detect import detect, require
from comfykit.weights.gligen_layout import gligen_config, gligen_tensors
from comfykit.weights.load import build
from comfykit.weights.read import open_weights

Box: TypeAlias = tuple[Tensor, int, int, int, int]
"""Pooled phrase, height, width, top, left."""


@dataclass(frozen=True, slots=True, eq=False)
class GligenModel:
    """GLIGEN: layers for a U-Net; `name` is that of their file."""

    name: str
    network: Gligen

    def check(self, unet: UNet) -> None:
        """Raise `ModelFileError` where its layers do not fit a U-Net."""
        parameters = dict(unet.named_parameters())
        for place, width in self.network.config.fusers.items():
            norm = parameters.get(f"{transformer_path(place)}.norm1.weight")
            if norm is None or norm.shape[0] != width:
                raise ModelFileError(
                    f"the GLIGEN model {self.name} does not fit the model at {transformer_path(place)}",
                    hint="it is for the family that it was made from, as a rule SD 1.x",
                    name=self.name,
                )


def load_gligen(path: Path) -> GligenModel:
    """Open a GLIGEN model; raises `ModelFileError` that says what the file is when it is none."""
    file = open_weights(path)
    try:
        require(detect(file.shapes), "gligen")
        tensors = gligen_tensors(file.tensors)
        config = gligen_config({name: tuple(tensor.shape) for name, tensor in tensors.items()})
    except ModelFileError as error:
        raise ModelFileError(
            f"{path}: {error}", hint=error.hint, **{**error.facts, "path": str(path)}
        ) from error
    return GligenModel(
        path.name, build(lambda: Gligen(config), tensors, what=f"the GLIGEN model {path.name}")
    )


@dataclass(frozen=True, slots=True, eq=False)
class Grounding:
    """Phrases in boxes of one conditioning."""

    model: GligenModel
    boxes: tuple[Box, ...]


def grounding_of(options: Mapping[str, Any], unet: UNet) -> Grounding | None:
    """The grounding of a conditioning as on a link, once it is known to work with a model."""
    found = options.get("gligen")
    if found is None:
        return None
    _, model, boxes = found
    model.check(unet)
    return Grounding(model, checked(model, boxes))


def checked(model: GligenModel, boxes: Sequence[Box]) -> tuple[Box, ...]:
    """The boxes; raises `UsageError` where they are too many, or a phrase is of another text encoder."""
    wanted = model.network.config.text
    if len(boxes) > MOST_BOXES:
        raise UsageError(f"{len(boxes)} boxes are too many: GLIGEN takes {MOST_BOXES}")
    for phrase, *_ in boxes:
        if phrase.shape[-1] != wanted:
            raise UsageError(
                f"the phrase is encoded in {phrase.shape[-1]} numbers, and the GLIGEN model takes {wanted}",
                hint="encode it with the text encoder of the model that GLIGEN was made from",
            )
    return tuple(boxes)


@dataclass(slots=True, eq=False)
class GroundingRun:
    """GLIGEN beside a U-Net in one run, in the type that it computes in."""

    unet: UNet
    residency: Residency
    dtype: torch.dtype
    _tokens: dict[tuple[Grounding, int, int], Tensor] = field(default_factory=dict)

    def hooks(self, call: Evaluation, hooks: UNetHooks) -> UNetHooks:
        """The hooks for a call, with those that let its rows attend to its boxes."""
        grounding: Grounding | None = call.grounding
        if grounding is None:
            return hooks
        network = grounding.model.network
        beside = tuple(control.model.network_for(self.unet) for control in call.controls)
        self.residency.place(network, self.residency.device, self.dtype, keep=(self.unet, *beside))
        tokens = self._tokens_for(grounding, *call.x.shape[-2:])

        def attend(x: Tensor, info: AttentionInfo) -> Tensor:
            fuser = network.fuser((info.kind, info.number, info.index))
            return x if fuser is None else fuser(x, tokens.expand(x.shape[0], -1, -1))

        return hooks.with_between(attend)

    def _tokens_for(self, grounding: Grounding, height: int, width: int) -> Tensor:
        """Grounding tokens for a latent of a size, made once."""
        key = grounding, height, width
        if key not in self._tokens:
            device = self.residency.device
            sides = torch.tensor(
                [
                    (left / width, top / height, (left + wide) / width, (top + high) / height)
                    for _, high, wide, top, left in grounding.boxes
                ],
                device=device,
            )
            phrases = torch.cat([phrase[:1].to(device, torch.float32) for phrase, *_ in grounding.boxes])
            self._tokens[key] = grounding.model.network.position_net(sides, phrases)
        return self._tokens[key]
