"""Masks that set a strength of change for every place."""

from __future__ import annotations

from torch import Tensor

from comfykit.sampling.noise_levels import NoiseLevels


def differential(
    sigma: Tensor, mask: Tensor, *, sigmas: Tensor, levels: NoiseLevels, strength: float
) -> Tensor:
    """A `MaskRule` by which a place is free from that part of the run on that its mask says.

    1 where the mask is at least the part of the run's timesteps that are left, else 0 ("Differential
    Diffusion: Giving Each Pixel Its Strength", arXiv 2306.00950); with a `strength` below 1
    mixed with the mask itself.
    """
    ends = sigmas[[0, -1]].clamp(min=levels.sigma_min)
    first, last = levels.timestep(ends).tolist()
    left = (float(levels.timestep(sigma[:1])) - last) / (first - last) if first > last else 0.0
    free = (mask >= left).to(mask)
    return free if strength >= 1 else strength * free + (1 - strength) * mask
