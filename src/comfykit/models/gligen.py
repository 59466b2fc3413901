"""GLIGEN: layers beside those of a U-Net, through which it attends to phrases and where they belong.

"GLIGEN: Open-Set Grounded Text-to-Image Generation" (Li et al. 2023, arXiv 2301.07093), section 3. Names of
the parameters are those of the authors' files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from comfykit.models.attention import CrossAttention, FeedForward
from comfykit.models.hooks import BlockKind
from comfykit.models.unet import HEADS_OF_CONV_PROJECTIONS

MOST_BOXES = 30
"""As many as the network was trained with; places that are left over hold the null features."""

TEMPERATURE = 100.0

FuserPlace = tuple[BlockKind, int, int]
"""Kind and number of a block, and the index of a transformer block in it."""


@dataclass(frozen=True, slots=True)
class GligenConfig:
    """The shape of the layers: widths of the transformer blocks that have one, by place.

    Phrases have `text` numbers, boxes four, each as sines and cosines of `frequencies`; both together become
    a token of `out` numbers by two layers `hidden` wide.
    """

    fusers: Mapping[FuserPlace, int] = field(default_factory=dict)
    text: int = 768
    frequencies: int = 8
    hidden: int = 512
    out: int = 768


class PositionNet(nn.Module):
    """Phrases and boxes to grounding tokens: equation 5."""

    def __init__(self, config: GligenConfig) -> None:
        super().__init__()
        self.frequencies = config.frequencies
        position = 8 * config.frequencies  # a sine and a cosine of four numbers
        self.linears = nn.Sequential(
            nn.Linear(config.text + position, config.hidden),
            nn.SiLU(),
            nn.Linear(config.hidden, config.hidden),
            nn.SiLU(),
            nn.Linear(config.hidden, config.out),
        )
        self.null_positive_feature = nn.Parameter(torch.empty(config.text))
        self.null_position_feature = nn.Parameter(torch.empty(position))

    def forward(self, boxes: Tensor, phrases: Tensor) -> Tensor:
        """boxes [N, 4], phrases [N, text] -> tokens [1, MOST_BOXES, out].

        A box is left, top, right, bottom in parts of the picture; N is at most MOST_BOXES.
        """
        missing = MOST_BOXES - boxes.shape[0]
        where = torch.cat(
            (fourier(boxes, self.frequencies), self.null_position_feature.expand(missing, -1).to(boxes))
        )
        what = torch.cat((phrases, self.null_positive_feature.expand(missing, -1).to(phrases)))
        dtype = self.null_positive_feature.dtype
        tokens: Tensor = self.linears(torch.cat((what, where), dim=-1).to(dtype))
        return tokens[None]


def fourier(boxes: Tensor, frequencies: int) -> Tensor:
    """Boxes [N, 4] as sines and cosines [N, 8 * frequencies]: frequency, then wave, then side."""
    steps = torch.arange(frequencies, device=boxes.device) / frequencies
    angles = boxes[:, None] * (TEMPERATURE**steps)[:, None]
    return torch.stack((angles.sin(), angles.cos()), dim=2).flatten(1)


class GatedSelfAttention(nn.Module):
    """Attention of the pixels to themselves and the grounding tokens, gated: equation 8."""

    def __init__(self, width: int, tokens: int) -> None:
        super().__init__()
        self.linear = nn.Linear(tokens, width)
        self.attn = CrossAttention(width, width, HEADS_OF_CONV_PROJECTIONS)
        self.ff = FeedForward(width)
        self.norm1 = nn.LayerNorm(width)
        self.norm2 = nn.LayerNorm(width)
        self.alpha_attn = nn.Parameter(torch.empty(()))
        self.alpha_dense = nn.Parameter(torch.empty(()))

    def forward(self, x: Tensor, tokens: Tensor) -> Tensor:
        """x [B, T, width], tokens [B, N, out] -> x changed."""
        seen = self.norm1(torch.cat((x, self.linear(tokens)), dim=1))
        x = x + self.alpha_attn.tanh() * self.attn(seen)[:, : x.shape[1]]
        out: Tensor = x + self.alpha_dense.tanh() * self.ff(self.norm2(x))
        return out


class Gligen(nn.Module):
    """The network that makes grounding tokens, and a gated attention for each transformer block."""

    def __init__(self, config: GligenConfig) -> None:
        super().__init__()
        self.config = config
        self.position_net = PositionNet(config)
        for place, width in config.fusers.items():
            _put(self, fuser_path(place), GatedSelfAttention(width, config.out))

    def fuser(self, place: FuserPlace) -> GatedSelfAttention | None:
        """The gated attention of a transformer block; None where it has none."""
        if place not in self.config.fusers:
            return None
        found = self.get_submodule(fuser_path(place))
        assert isinstance(found, GatedSelfAttention)
        return found


def fuser_path(place: FuserPlace) -> str:
    """What a transformer block's gated attention is called."""
    return f"{transformer_path(place)}.fuser"


def transformer_path(place: FuserPlace) -> str:
    """What U-Nets call a transformer block."""
    kind, number, index = place
    block = "middle_block" if kind == "middle" else f"{kind}_blocks.{number}"
    return f"{block}.1.transformer_blocks.{index}"


def _put(root: nn.Module, path: str, module: nn.Module) -> None:
    """Hang a module below another, with what lies between."""
    *parts, last = path.split(".")
    for part in parts:
        if part not in dict(root.named_children()):
            root.add_module(part, nn.Module())
        root = root.get_submodule(part)
    root.add_module(last, module)
