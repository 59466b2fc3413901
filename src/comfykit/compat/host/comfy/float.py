"""`comfy.float`: rounding to formats of 8 bits."""

from __future__ import annotations

import torch
from torch import Tensor


def stochastic_rounding(value: Tensor, dtype: torch.dtype, seed: int = 0) -> Tensor:
    """The values in a type of 8 bits, up or down at random so that the mean is kept."""
    if dtype not in (torch.float8_e4m3fn, torch.float8_e5m2):
        return value.to(dtype)
    mantissa, smallest = (3, -6) if dtype == torch.float8_e4m3fn else (2, -14)
    wide = value.float()
    exponent = torch.frexp(wide)[1].clamp(min=smallest + 1) - 1
    spacing = torch.ldexp(torch.ones_like(wide), exponent - mantissa)
    generator = torch.Generator(device=value.device).manual_seed(seed)
    drawn = torch.rand(wide.shape, generator=generator, device=value.device)
    limit = torch.finfo(dtype).max
    return ((wide / spacing + drawn).floor() * spacing).clamp(-limit, limit).to(dtype)
