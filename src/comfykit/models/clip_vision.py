"""The vision transformer of CLIP.

"Learning Transferable Visual Models From Natural Language Supervision" (Radford et al. 2021), section 2.4,
after "An Image is Worth 16x16 Words" (Dosovitskiy et al. 2020). Names of the parameters are those that
transformers gives its `CLIPVisionModelWithProjection`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from comfykit.models.clip_text import Activation, Encoder, LayerNorm, Linear
from comfykit.models.layers import Embedding


@dataclass(frozen=True, slots=True)
class ClipVisionConfig:
    """The shape of a vision encoder; the defaults are those of CLIP ViT-L/14.

    Pictures have `size` pixels a side and are cut into squares of `patch` pixels a side. `projection` is the
    width of the space that pictures share with texts, None without the layer that leads there.
    """

    width: int = 1024
    heads: int = 16
    layers: int = 24
    mlp_width: int = 4096
    size: int = 224
    patch: int = 14
    activation: Activation = "quick_gelu"
    projection: int | None = 768

    @property
    def causal(self) -> bool:
        """Patches have no order: each sees all."""
        return False

    @property
    def positions(self) -> int:
        """Patches of a picture, and one token for the whole."""
        return (self.size // self.patch) ** 2 + 1


@dataclass(frozen=True, slots=True, eq=False)
class VisionStates:
    """What a vision encoder makes of pictures: float32, on its device.

    `last` and `penultimate` [B, 1 + patches, width] are the hidden states behind the last layer and the one
    before it, not normed; `embeds` [B, projection] stands for whole pictures.
    """

    last: Tensor
    penultimate: Tensor
    embeds: Tensor


class PatchConv(nn.Conv2d):
    """Computes in the type of its input, whatever type the weights are stored in."""

    def forward(self, x: Tensor) -> Tensor:
        """[B, 3, size, size] -> [B, width, rows, columns]."""
        return F.conv2d(x, self.weight.to(x.dtype), stride=self.stride)


class Embeddings(nn.Module):
    """Pictures to vectors of their patches, row by row, behind one that stands for the whole."""

    def __init__(self, config: ClipVisionConfig) -> None:
        super().__init__()
        self.class_embedding = nn.Parameter(torch.empty(config.width))
        self.patch_embedding = PatchConv(3, config.width, config.patch, config.patch, bias=False)
        self.position_embedding = Embedding(config.positions, config.width)

    def forward(self, x: Tensor) -> Tensor:
        """[B, 3, size, size] -> [B, 1 + patches, width]."""
        patches = self.patch_embedding(x).flatten(2).transpose(1, 2)
        whole = self.class_embedding.to(x.dtype).expand(x.shape[0], 1, -1)
        return torch.cat((whole, patches), dim=1) + self.position_embedding.weight.to(x.dtype)


class VisionTransformer(nn.Module):
    """Embeddings and layers, with a norm before and after them."""

    def __init__(self, config: ClipVisionConfig) -> None:
        super().__init__()
        self.embeddings = Embeddings(config)
        self.pre_layrnorm = LayerNorm(config.width)  # as the files spell it
        self.encoder = Encoder(config)
        self.post_layernorm = LayerNorm(config.width)


class ClipVision(nn.Module):
    """Pictures [B, 3, size, size], normalised, to hidden states and embeddings.

    Weights may be stored in half precision: each is widened while it is used.
    """

    def __init__(self, config: ClipVisionConfig) -> None:
        super().__init__()
        self.config = config
        self.vision_model = VisionTransformer(config)
        if config.projection is not None:
            self.visual_projection = Linear(config.width, config.projection, bias=False)

    def forward(self, x: Tensor) -> VisionStates:
        """See `VisionStates`; without a projection `embeds` are the normed tokens of whole pictures."""
        body = self.vision_model
        hidden = [body.pre_layrnorm(body.embeddings(x.float()))]
        for layer in body.encoder.layers:
            hidden.append(layer(hidden[-1]))
        embeds = body.post_layernorm(hidden[-1][:, 0])
        if self.config.projection is not None:
            embeds = self.visual_projection(embeds)
        return VisionStates(hidden[-1], hidden[-2], embeds)
