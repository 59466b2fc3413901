"""T2I-Adapters: small networks that make features for a U-Net's way down of a hint, the same at every step.

"T2I-Adapter: Learning Adapters to Dig out More Controllable Ability" (Mou et al. 2023, arXiv 2302.08453),
section 3.3. Names of the parameters are those of the authors' files.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional as F

from comfykit.models.control import ControlResiduals

# The input blocks that features are added to: the last ones of the four levels of SD 1.x, and in SDXL the
# first at half the resolution and the last ones of two levels. SDXL's last features go to the middle.
PLACES = (2, 5, 8, 11)
LARGE_PLACES = (3, 5, 8)


@dataclass(frozen=True, slots=True)
class T2IAdapterConfig:
    """The shape of an adapter: `channels` of the four features, `blocks` for each.

    `light` ones have narrower blocks; `large` ones are for SDXL: they see 16 pixels as one place, not 8, and
    halve the resolution once, before the third features.
    """

    hint_channels: int = 3
    channels: tuple[int, ...] = (320, 640, 1280, 1280)
    blocks: int = 2
    light: bool = False
    large: bool = False

    @property
    def unshuffle(self) -> int:
        """Side of the square of pixels that becomes one place."""
        return 16 if self.large else 8

    def halves(self, level: int) -> bool:
        """Whether features come at half the resolution of those before."""
        return level == 2 if self.large else level > 0


class AdapterBlock(nn.Module):
    """Two convolutions around a ReLU, added to what they are given, which a third may widen before."""

    def __init__(self, channels: int, out_channels: int, kernel: int = 1) -> None:
        super().__init__()
        if channels != out_channels:
            self.in_conv = nn.Conv2d(channels, out_channels, 1)
        self.block1 = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        self.block2 = nn.Conv2d(out_channels, out_channels, kernel, padding=kernel // 2)

    def forward(self, x: Tensor) -> Tensor:
        """[N, channels, H, W] -> [N, out_channels, H, W]."""
        if hasattr(self, "in_conv"):
            x = self.in_conv(x)
        added: Tensor = self.block2(F.relu(self.block1(x)))
        return x + added


class LightLevel(nn.Module):
    """Blocks at a quarter of the width of the features that they make."""

    def __init__(self, channels: int, out_channels: int, blocks: int) -> None:
        super().__init__()
        inner = out_channels // 4
        self.in_conv = nn.Conv2d(channels, inner, 1)
        self.body = nn.Sequential(*(AdapterBlock(inner, inner, kernel=3) for _ in range(blocks)))
        self.out_conv = nn.Conv2d(inner, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """[N, channels, H, W] -> [N, out_channels, H, W]."""
        out: Tensor = self.out_conv(self.body(self.in_conv(x)))
        return out


class T2IAdapter(nn.Module):
    """Features of a hint, and where they belong."""

    def __init__(self, config: T2IAdapterConfig) -> None:
        super().__init__()
        self.config = config
        given = config.hint_channels * config.unshuffle**2
        first = given
        if not config.light:
            self.conv_in = nn.Conv2d(given, config.channels[0], 3, padding=1)
            first = config.channels[0]
        pairs = zip((first, *config.channels), config.channels, strict=False)
        self.body = nn.ModuleList(block for channels, out in pairs for block in _level(config, channels, out))

    def read_hint(self, hint: Tensor) -> tuple[Tensor, ...]:
        """Hints [N, any, H, W] in 0 to 1, sides multiples of `config.unshuffle` -> features of every level.

        Their channels are averaged for a network that wants one.
        """
        channels = self.config.hint_channels
        hint = hint.mean(dim=1, keepdim=True) if channels == 1 else hint[:, :channels]
        x = F.pixel_unshuffle(hint.to(next(self.parameters()).dtype), self.config.unshuffle)
        x = x if self.config.light else self.conv_in(x)
        features: list[Tensor] = []
        in_level = 1 if self.config.light else self.config.blocks
        for index, block in enumerate(self.body):
            if index % in_level == 0 and self.config.halves(index // in_level):
                x = _halved(x)
            x = block(x)
            if (index + 1) % in_level == 0:
                features.append(x)
        return tuple(features)

    @property
    def places(self) -> tuple[int, ...]:
        """The input block that each of the features is added to; one more goes to the middle."""
        return LARGE_PLACES if self.config.large else PLACES

    @property
    def levels(self) -> int:
        """How many resolutions the U-Net works at that the places are those of."""
        return 3 if self.config.large else 4

    def residuals(self, features: tuple[Tensor, ...]) -> ControlResiduals:
        """Features as a U-Net takes them."""
        at = dict(zip(self.places, features, strict=False))
        middle = features[len(self.places)] if len(features) > len(self.places) else None
        return ControlResiduals(middle=middle, input=tuple(at.get(index) for index in range(max(at) + 1)))


def _level(config: T2IAdapterConfig, channels: int, out: int) -> list[nn.Module]:
    if config.light:
        return [LightLevel(channels, out, config.blocks)]
    return [AdapterBlock(channels if index == 0 else out, out) for index in range(config.blocks)]


def _halved(x: Tensor) -> Tensor:
    """Means of 2 x 2 places; an odd side has a row or column of zeros put at both ends."""
    return F.avg_pool2d(x, 2, padding=(x.shape[2] % 2, x.shape[3] % 2))
