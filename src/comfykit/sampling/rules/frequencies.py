"""Guidance scaled by spatial frequency."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from comfykit.sampling.guidance import GuidanceInputs


def frequency_scaled(
    inputs: GuidanceInputs, *, scale_low: float, scale_high: float, freq_cutoff: int
) -> GuidanceInputs:
    """Scale low and high frequencies of c - u apart ("FreSca", arXiv 2504.02154)."""
    if not inputs.has_negative:
        return inputs
    difference = inputs.positive - inputs.negative
    scaled = scaled_frequencies(difference, scale_low, scale_high, freq_cutoff)
    return replace(inputs, positive=inputs.negative + scaled)


def scaled_frequencies(x: Tensor, low: float, high: float, cutoff: int) -> Tensor:
    """Scale frequencies of x [..., h, w]: those of the square of half side `cutoff` around 0, and the rest.

    Frequencies on the square's upper edges count as high, as those of an array's slice would.
    """
    height, width = x.shape[-2:]
    spectrum = torch.fft.fftshift(torch.fft.fft2(x.float()), dim=(-2, -1))
    scale = torch.full((height, width), high, device=x.device)
    rows, columns = height // 2, width // 2
    scale[max(rows - cutoff, 0) : rows + cutoff, max(columns - cutoff, 0) : columns + cutoff] = low
    found: Tensor = torch.fft.ifft2(torch.fft.ifftshift(spectrum * scale, dim=(-2, -1))).real
    return found.to(x)
