"""The U-Net of Stable Diffusion 1.x, 2.x, SDXL and the SDXL refiner: one network, four configurations.

"High-Resolution Image Synthesis with Latent Diffusion Models" (Rombach et al. 2022), appendix E, and
"SDXL" (Podell et al. 2023), table 1. Names of the parameters are those of the checkpoints after
`model.diffusion_model.`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from comfykit.models.attention import SpatialTransformer
from comfykit.models.control import ControlResiduals
from comfykit.models.hooks import NO_HOOKS, BlockInfo, BlockKind, CallInfo, HookedBlock, UNetHooks
from comfykit.models.layers import GROUPS, Downsample, Upsample, timestep_embedding
from comfykit.models.resblock import ResBlock

CHANNELS_PER_HEAD = 64
HEADS_OF_CONV_PROJECTIONS = 8


@dataclass(frozen=True, slots=True)
class UNetConfig:
    """The shape of a U-Net; the defaults are those of SD 1.x.

    Levels are counted from the finest. `input_depths` has one entry per residual block on the way
    down, `output_depths` one per residual block on the way up (a level has one more of them): how many
    transformer blocks follow it, 0 for no transformer. `adm_in_channels` is the width of the vector
    `y` that is added to the timestep, None where there is none.
    """

    in_channels: int = 4
    out_channels: int = 4
    model_channels: int = 320
    channel_mult: tuple[int, ...] = (1, 2, 4, 4)
    num_res_blocks: tuple[int, ...] = (2, 2, 2, 2)
    input_depths: tuple[int, ...] = (1, 1, 1, 1, 1, 1, 0, 0)
    middle_depth: int = 1
    output_depths: tuple[int, ...] = (0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1)
    context_dim: int = 768
    adm_in_channels: int | None = None
    use_linear: bool = False

    def heads(self, channels: int) -> int:
        """Attention heads at a width.

        No tensor's shape tells it: networks with 1x1 convolutions around their transformers have 8 heads
        at every width, those with linear layers have 64 channels a head.
        """
        return channels // CHANNELS_PER_HEAD if self.use_linear else HEADS_OF_CONV_PROJECTIONS


class UNetBlock(nn.ModuleList):
    """A few layers in a row, each handed what it needs."""

    def forward(
        self,
        h: Tensor,
        emb: Tensor,
        context: Tensor,
        size: tuple[int, int],
        hooked: HookedBlock | None = None,
    ) -> Tensor:
        """Run the layers; an `Upsample` among them enlarges to `size`."""
        for layer in self:
            if isinstance(layer, ResBlock):
                h = layer(h, emb)
            elif isinstance(layer, SpatialTransformer):
                h = layer(h, context, hooked)
            elif isinstance(layer, Upsample):
                h = layer(h, size)
            else:
                h = layer(h)
        return h


class UNetEncoder(nn.Module):
    """The way down of a U-Net and its middle, which a ControlNet is a copy of."""

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        self.config = config
        width = config.model_channels
        emb_channels = 4 * width
        self.time_embed = _embedder(width, emb_channels)
        if config.adm_in_channels is not None:
            self.label_emb = nn.Sequential(_embedder(config.adm_in_channels, emb_channels))
        self.skip_channels, blocks = _input_blocks(config, emb_channels)
        self.input_blocks = nn.ModuleList(blocks)
        self.middle_block = _middle_block(config, self.skip_channels[-1], emb_channels)

    def embed(self, timesteps: Tensor, y: Tensor | None, dtype: torch.dtype) -> Tensor:
        """Timesteps [B] and `y` [B, adm_in_channels] as the vector [B, emb] that residual blocks are told."""
        emb: Tensor = self.time_embed(timestep_embedding(timesteps, self.config.model_channels).to(dtype))
        if self.config.adm_in_channels is None:
            return emb
        if y is None:
            raise ValueError(f"this U-Net needs y, a vector of {self.config.adm_in_channels} per picture")
        label: Tensor = self.label_emb(y.to(dtype))
        return emb + label


class UNet(UNetEncoder):
    """Predicts what the denoiser is made of (noise or velocity) from a noisy latent."""

    def __init__(self, config: UNetConfig) -> None:
        super().__init__(config)
        width = config.model_channels
        self.output_blocks = nn.ModuleList(_output_blocks(config, self.skip_channels, 4 * width))
        self.out = nn.Sequential(
            nn.GroupNorm(GROUPS, width), nn.SiLU(), nn.Conv2d(width, config.out_channels, 3, padding=1)
        )
        self._transformers = _transformer_numbers(self)

    @property
    def dtype(self) -> torch.dtype:
        """The type of the weights, in which it computes."""
        return next(self.out.parameters()).dtype

    def forward(
        self,
        x: Tensor,
        timesteps: Tensor,
        context: Tensor,
        y: Tensor | None = None,
        control: ControlResiduals | None = None,
        hooks: UNetHooks = NO_HOOKS,
        call: CallInfo | None = None,
    ) -> Tensor:
        """x [B, in_channels, H, W], timesteps [B], context [B, S, context_dim] -> [B, out_channels, H, W].

        `y` [B, adm_in_channels] is needed where the configuration has it, and `call`, what hooks are told,
        where there are hooks. Any H and W work. Computes in the type of the weights and returns the type of
        `x`.
        """
        at = self._hooked(hooks, call)
        dtype = self.dtype
        emb = self.embed(timesteps, y, dtype)
        context = context.to(dtype)
        h = x.to(dtype)
        skips: list[Tensor] = []
        for number, block in enumerate(self.input_blocks):
            here = at("input", number)
            h = block(h, emb, context, h.shape[-2:], here)
            h = h if control is None else control.onto_input(number, h)
            h = h if here is None else here.after_input(h)
            skips.append(h)
            h = h if here is None else here.after_skip(h)
        here = at("middle", 0)
        h = self.middle_block(h, emb, context, h.shape[-2:], here)
        if control is not None:
            skips = [control.onto_skip(index, skip) for index, skip in enumerate(skips)]
            h = control.onto_middle(h)
        h = h if here is None else here.after_middle(h)
        for number, block in enumerate(self.output_blocks):
            here = at("output", number)
            skip = skips.pop()
            if here is not None:
                h, skip = here.before_output(h, skip)
            h = torch.cat((h, skip), dim=1)
            size = skips[-1].shape[-2:] if skips else h.shape[-2:]
            h = block(h, emb, context, size, here)
        out: Tensor = self.out(h)
        return out.to(x.dtype)

    def _hooked(
        self, hooks: UNetHooks, call: CallInfo | None
    ) -> Callable[[BlockKind, int], HookedBlock | None]:
        """What a block is told of hooks: nothing where there are none."""
        if hooks is NO_HOOKS:
            return _unhooked
        if call is None:
            raise ValueError("hooks of a U-Net need what they are told about its call")

        def at(kind: BlockKind, number: int) -> HookedBlock:
            info = BlockInfo(
                call.sigma,
                call.sides,
                call.latent_size,
                call.data,
                kind=kind,
                number=number,
                transformer=self._transformers[kind, number],
            )
            return HookedBlock(hooks, info)

        return at


def _unhooked(kind: BlockKind, number: int) -> HookedBlock | None:
    return None


def _transformer_numbers(network: UNet) -> dict[tuple[BlockKind, int], int]:
    """How many spatial transformers come before each block."""
    blocks: list[tuple[BlockKind, int, nn.Module]] = [
        *(("input", number, block) for number, block in enumerate(network.input_blocks)),
        ("middle", 0, network.middle_block),
        *(("output", number, block) for number, block in enumerate(network.output_blocks)),
    ]
    numbers: dict[tuple[BlockKind, int], int] = {}
    count = 0
    for kind, number, block in blocks:
        numbers[kind, number] = count
        count += sum(isinstance(layer, SpatialTransformer) for layer in block.children())
    return numbers


def _embedder(channels: int, emb_channels: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(channels, emb_channels), nn.SiLU(), nn.Linear(emb_channels, emb_channels))


def _transformer(config: UNetConfig, channels: int, depth: int) -> SpatialTransformer:
    heads = config.heads(channels)
    return SpatialTransformer(channels, config.context_dim, heads, depth, use_linear=config.use_linear)


def _input_blocks(config: UNetConfig, emb_channels: int) -> tuple[list[int], list[UNetBlock]]:
    """The way down, and the width of the skip connection that each block leaves."""
    channels = config.model_channels
    blocks = [UNetBlock([nn.Conv2d(config.in_channels, channels, 3, padding=1)])]
    skips = [channels]
    depths = iter(config.input_depths)
    for level, (mult, count) in enumerate(zip(config.channel_mult, config.num_res_blocks, strict=True)):
        if level:
            blocks.append(UNetBlock([Downsample(channels)]))
            skips.append(channels)
        for _ in range(count):
            out = mult * config.model_channels
            blocks.append(UNetBlock([ResBlock(channels, emb_channels, out), *_attend(config, out, depths)]))
            skips.append(out)
            channels = out
    return skips, blocks


def _middle_block(config: UNetConfig, channels: int, emb_channels: int) -> UNetBlock:
    return UNetBlock(
        [
            ResBlock(channels, emb_channels, channels),
            _transformer(config, channels, config.middle_depth),
            ResBlock(channels, emb_channels, channels),
        ]
    )


def _output_blocks(config: UNetConfig, skips: list[int], emb_channels: int) -> Iterator[UNetBlock]:
    """The way up; every block takes the skip connection of one block on the way down."""
    left = list(skips)
    channels = left[-1]
    depths = iter(config.output_depths)
    for level in reversed(range(len(config.channel_mult))):
        out = config.channel_mult[level] * config.model_channels
        count = config.num_res_blocks[level] + 1
        for index in range(count):
            layers = [ResBlock(channels + left.pop(), emb_channels, out), *_attend(config, out, depths)]
            if level and index == count - 1:
                layers.append(Upsample(out))
            yield UNetBlock(layers)
            channels = out


def _attend(config: UNetConfig, channels: int, depths: Iterator[int]) -> list[nn.Module]:
    """The transformer that follows a residual block, or nothing."""
    depth = next(depths)
    return [_transformer(config, channels, depth)] if depth else []
