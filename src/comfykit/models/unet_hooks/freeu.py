"""FreeU: features of the way up are strengthened, low frequencies of skip connections weakened.

"FreeU: Free Lunch in Diffusion U-Net", arXiv 2309.11497. Both act where the features have 4 times and twice
as many channels as the finest level has: on the coarser parts of the way up.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from comfykit.models.hooks import BlockInfo

LOW = 1  # frequencies below this one, on each axis, are low


@dataclass(frozen=True, slots=True)
class FreeU:
    """A `JoinHook`; `factors` are those of features and skip connections by the features' channels.

    Half of the channels are scaled: by b in `FreeU`, by a factor between 1 and b for every place in FreeU v2
    (`by_place`), which grows with the mean over the channels there.
    """

    factors: dict[int, tuple[float, float]]
    by_place: bool = False

    def __call__(self, h: Tensor, skip: Tensor, info: BlockInfo) -> tuple[Tensor, Tensor]:
        """Both in their shapes; unchanged where the features have another number of channels."""
        if h.shape[1] not in self.factors:
            return h, skip
        features, connection = self.factors[h.shape[1]]
        scale = (features - 1) * normalized_mean(h) + 1 if self.by_place else features
        half = h.shape[1] // 2
        h = torch.cat((h[:, :half] * scale, h[:, half:]), dim=1)
        return h, low_frequencies_scaled(skip, connection)


def normalized_mean(h: Tensor) -> Tensor:
    """Mean over the channels, stretched to 0 to 1 in each picture: [B, C, h, w] -> [B, 1, h, w].

    0 everywhere in a picture where it is the same everywhere.
    """
    mean = h.mean(dim=1, keepdim=True)
    low, high = mean.amin(dim=(2, 3), keepdim=True), mean.amax(dim=(2, 3), keepdim=True)
    return (mean - low) / (high - low).clamp(min=torch.finfo(h.dtype).tiny)


def low_frequencies_scaled(x: Tensor, scale: float) -> Tensor:
    """Scale the lowest frequencies of x [B, C, h, w], computed in float32."""
    spectrum = torch.fft.fftshift(torch.fft.fft2(x.float()), dim=(-2, -1))
    rows, columns = x.shape[-2] // 2, x.shape[-1] // 2
    spectrum[..., rows - LOW : rows + LOW, columns - LOW : columns + LOW] *= scale
    scaled: Tensor = torch.fft.ifft2(torch.fft.ifftshift(spectrum, dim=(-2, -1))).real
    return scaled.to(x.dtype)
