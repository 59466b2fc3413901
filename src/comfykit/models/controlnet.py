"""The ControlNet: a copy of a U-Net's way down that looks at a picture and says what the U-Net should add.

"Adding Conditional Control to Text-to-Image Diffusion Models" (Zhang et al. 2023, arXiv 2302.05543),
section 3. Names of the parameters are those of the published files after `control_model.`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from comfykit.models.control import ControlResiduals
from comfykit.models.controlnet_union import TaskBlock, TypeEmbedding, UnionConfig
from comfykit.models.unet import UNetConfig, UNetEncoder

HINT_STRIDES = (1, 1, 2, 1, 2, 1, 2, 1)
"""Of the convolutions that bring a hint to the size of the latent, an eighth of its own."""


@dataclass(frozen=True, slots=True)
class ControlNetConfig:
    """The shape of a ControlNet: of the way down it copies, and of the layers that read its hint.

    `hint_widths` are the channels between the eight convolutions. `union` is there in networks for several
    types of hints.
    """

    encoder: UNetConfig
    hint_channels: int = 3
    hint_widths: tuple[int, ...] = (16, 16, 32, 32, 96, 96, 256)
    union: UnionConfig | None = None


class ControlNet(UNetEncoder):
    """Residuals for the skip connections and the middle of a U-Net, from its inputs and a hint.

    A hint is read once (`read_hint`) and used at every step.
    """

    def __init__(self, config: ControlNetConfig) -> None:
        super().__init__(config.encoder)
        self.hint_channels, self.union = config.hint_channels, config.union
        width = config.encoder.model_channels
        self.input_hint_block = _hint_block(config, width)
        self.zero_convs = nn.ModuleList(
            nn.Sequential(nn.Conv2d(channels, channels, 1)) for channels in self.skip_channels
        )
        last = self.skip_channels[-1]
        self.middle_block_out = nn.Sequential(nn.Conv2d(last, last, 1))
        if config.union is not None:
            # The spelling is that of the files.
            self.task_embedding = nn.Parameter(torch.empty(config.union.types, width))
            self.transformer_layes = nn.ModuleList(TaskBlock(width) for _ in range(config.union.layers))
            self.spatial_ch_projs = nn.Linear(width, width)
            self.control_add_embedding = TypeEmbedding(config.union, 4 * width)

    def read_hint(self, hint: Tensor, kind: int | None = None) -> Tensor:
        """Hints [N, hint_channels, 8 H, 8 W] in 0 to 1 -> features [N, model_channels, H, W].

        `kind` is the type of the hints where the network knows several, None for any.
        """
        dtype = next(self.middle_block_out.parameters()).dtype
        features: Tensor = self.input_hint_block(hint.to(dtype))
        if self.union is None or kind is None:
            return features
        token = features.mean(dim=(2, 3)) + self.task_embedding[kind]
        for layer in self.transformer_layes:
            token = layer(token)
        offset: Tensor = self.spatial_ch_projs(token)
        return features + offset[:, :, None, None]

    def forward(
        self,
        x: Tensor,
        hint: Tensor,
        timesteps: Tensor,
        context: Tensor,
        y: Tensor | None = None,
        kind: int | None = None,
    ) -> ControlResiduals:
        """The U-Net's x [B, in_channels, H, W], timesteps [B], context and y, and `hint` from `read_hint`.

        `hint` is [B or 1, model_channels, H, W]. Computes in the type of the weights and returns that.
        """
        dtype = next(self.middle_block_out.parameters()).dtype
        emb = self.embed(timesteps, y, dtype)
        if self.union is not None:
            emb = emb + self.control_add_embedding(kind)
        context = context.to(dtype)
        h = x.to(dtype)
        residuals: list[Tensor] = []
        for index, (block, zero_conv) in enumerate(zip(self.input_blocks, self.zero_convs, strict=True)):
            h = block(h, emb, context, h.shape[-2:])
            if index == 0:
                h = h + hint
            residuals.append(zero_conv(h))
        h = self.middle_block(h, emb, context, h.shape[-2:])
        return ControlResiduals(tuple(residuals), self.middle_block_out(h))


def _hint_block(config: ControlNetConfig, width: int) -> nn.Sequential:
    """Convolutions with an activation between any two, so that their names count by two."""
    widths = (config.hint_channels, *config.hint_widths, width)
    layers: list[nn.Module] = []
    for channels, out, stride in zip(widths, widths[1:], HINT_STRIDES, strict=False):
        layers += [nn.Conv2d(channels, out, 3, stride=stride, padding=1), nn.SiLU()]
    return nn.Sequential(*layers[:-1])
