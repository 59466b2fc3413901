"""Guidance whose scale is not one number, and predictions whose noise is scaled."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from comfykit.sampling.guidance import Combine, GuidanceInputs
from comfykit.sampling.parametrization import per_row


def linear_over_batch(inputs: GuidanceInputs, *, min_cfg: float) -> Tensor:
    """Guidance that grows evenly from `min_cfg` for the first frame of a batch to `cfg` for the last.

    "Stable Video Diffusion", arXiv 2311.15127.
    """
    rows = inputs.positive.shape[0]
    return _scaled(inputs, torch.linspace(min_cfg, inputs.cfg, rows, device=inputs.x.device))


def triangle_over_batch(inputs: GuidanceInputs, *, min_cfg: float) -> Tensor:
    """Guidance that grows from `min_cfg` to `cfg` in the middle of a batch of frames and falls again.

    "SV3D", arXiv 2403.12008.
    """
    place = torch.linspace(0.0, 1.0, inputs.positive.shape[0], device=inputs.x.device)
    height = 1.0 - (2.0 * place - 1.0).abs()
    return _scaled(inputs, min_cfg + (inputs.cfg - min_cfg) * height)


def _scaled(inputs: GuidanceInputs, scales: Tensor) -> Tensor:
    difference = inputs.positive - inputs.negative
    return inputs.negative + difference * per_row(scales.to(difference), difference)


def two_guidances(
    inputs: GuidanceInputs, *, combine: Combine, cfg_middle: float, nested: bool, middle: int
) -> Tensor:
    """Guidance by two prompts, m between c and u: `inputs.further[middle]`.

    g(m, u, cfg_middle) + cfg (c - m) ("InstructPix2Pix", arXiv 2211.09800, equation 3), where g is `combine`;
    nested: u + cfg_middle (g(c, m, cfg) - u).
    """
    between = inputs.further[middle]
    if nested:
        inner = combine(replace(inputs, negative=between))
        return inputs.negative + cfg_middle * (inner - inputs.negative)
    outer = combine(replace(inputs, positive=between, cfg=cfg_middle))
    return outer + inputs.cfg * (inputs.positive - between)


def noise_scaled(guided: Tensor, inputs: GuidanceInputs, *, scaling_factor: float) -> Tensor:
    """Divide the predicted noise: x - (x - guided) / scaling_factor.

    "Elucidating the Exposure Bias in Diffusion Models", arXiv 2308.15321.
    """
    return inputs.x - (inputs.x - guided) / scaling_factor


def operated(inputs: GuidanceInputs, *, operation: Callable[..., Tensor]) -> GuidanceInputs:
    """Apply an operation on latents to c - u, or to c alone where there is no u."""
    difference = inputs.positive - inputs.negative
    return replace(inputs, positive=inputs.negative + operation(latent=difference))
