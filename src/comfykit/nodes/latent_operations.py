"""LATENT_OPERATION, functions of latent samples [batch, channels, height, width], and what applies one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from torch import Tensor

from comfykit.engine.define import integer, node, number
from comfykit.nodes.align import lengths
from comfykit.nodes.kernels import convolve, sharpening_kernel
from comfykit.nodes.types import Latent, LatentOperation

TINY = 1e-6
SPREAD = 5.0  # standard deviations above the mean that the curve maps to half of itself


@dataclass(frozen=True, slots=True)
class Sharpen:
    """Sharpens the directions of the channel vectors and keeps their lengths, which carry the contrast."""

    radius: int
    sigma: float
    alpha: float

    def __call__(self, latent: Tensor, **_: Any) -> Tensor:
        """Samples of the same shape; other keywords are left alone, as custom nodes may pass some."""
        length = lengths(latent) + TINY
        return convolve(latent / length, sharpening_kernel(self.radius, self.sigma, self.alpha)) * length


@dataclass(frozen=True, slots=True)
class TonemapReinhard:
    """Compresses the lengths of channel vectors by x / (x + 1), in units of `multiplier` times a high one.

    Reinhard et al., "Photographic tone reproduction for digital images" (2002), equation 3.
    """

    multiplier: float

    def __call__(self, latent: Tensor, **_: Any) -> Tensor:
        """Samples of the same shape; other keywords are left alone, as custom nodes may pass some."""
        length = lengths(latent) + TINY**2
        axes = tuple(range(1, length.ndim))
        unit = length.std(axes, keepdim=True) * SPREAD + length.mean(axes, keepdim=True)
        unit = (unit * self.multiplier).clamp(min=TINY**2)
        return latent / length * (length * unit / (length + unit))


@node("LatentOperationSharpen", title="LatentOperationSharpen", category="latent/advanced/operations")
def latent_operation_sharpen(
    sharpen_radius: Annotated[int, integer(9, 1, 31)],
    sigma: Annotated[float, number(1.0, 0.1, 10.0, 0.1)],
    alpha: Annotated[float, number(0.1, 0.0, 5.0)],
) -> LatentOperation:
    """Make an operation that sharpens latents."""
    return Sharpen(sharpen_radius, sigma, alpha)


@node(
    "LatentOperationTonemapReinhard",
    title="LatentOperationTonemapReinhard",
    category="latent/advanced/operations",
)
def latent_operation_tonemap_reinhard(
    multiplier: Annotated[float, number(1.0, 0.0, 100.0)],
) -> LatentOperation:
    """Make an operation that compresses the extremes of latents, the less the higher the multiplier."""
    return TonemapReinhard(multiplier)


@node("LatentApplyOperation", title="LatentApplyOperation", category="latent/advanced/operations")
def latent_apply_operation(samples: Latent, operation: LatentOperation) -> Latent:
    """Change a latent by an operation."""
    return {**samples, "samples": operation(latent=samples["samples"])}  # type: ignore[call-arg]
