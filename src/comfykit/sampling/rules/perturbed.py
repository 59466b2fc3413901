"""Guidance away from what the network predicts when it is made worse on purpose."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from comfykit.sampling.guidance import NEGATIVE, POSITIVE, GuidanceInputs

BLUR_SIZE = 9
ATTENDED = 1.0


def perturbed(
    guided: Tensor, inputs: GuidanceInputs, *, scale: float, change: Callable[[Any], Any]
) -> Tensor:
    """Guide away from the positive prediction of a network whose hooks are changed.

    guided + scale (c - c'), where c' is the prediction of the changed network ("Self-Rectifying Diffusion
    Sampling with Perturbed-Attention Guidance", arXiv 2403.17377).
    """
    if scale == 0:
        return guided
    return guided + scale * (inputs.positive - inputs.evaluate(POSITIVE, change=change))


def self_attention(
    guided: Tensor, inputs: GuidanceInputs, *, scale: float, blur_sigma: float, key: object
) -> Tensor:
    """Guide away from the negative prediction made without the details that self-attention looks at.

    "Improving Sample Quality of Diffusion Models Using Self-Attention Guidance", arXiv 2210.00939.
    The memory has, under `key`, what was noted in this step by the latent's size: maps of
    attention [batch, heads, tokens, tokens] of the negative prediction, and (height, width) of the tokens.
    Where the attention that a token gets is above 1, the negative prediction is blurred; it gets the
    noise back that was predicted and is denoised once more. Guided is by the difference of both predicted
    noises: with x_hat = blurred + x - u, by scale * (blurred - D(x_hat)).
    """
    noted = inputs.memory.pop(key, {}).get(tuple(inputs.x.shape[-2:]))
    if noted is None or not inputs.has_negative or min(inputs.x.shape[-2:]) <= BLUR_SIZE // 2:
        return guided
    maps, size = noted
    blurred = _blur_attended(inputs.negative, maps, size, blur_sigma)
    again = inputs.evaluate(NEGATIVE, x=blurred + inputs.x - inputs.negative)
    return guided + scale * (blurred - again)


def _blur_attended(x: Tensor, maps: Tensor, size: tuple[int, int], sigma: float) -> Tensor:
    """Blur x [batch, channels, h, w] where the tokens of a map get more than a fair share of attention."""
    attended = maps.mean(dim=1).sum(dim=1) > ATTENDED
    mask = attended.reshape(-1, 1, *size).to(x)
    mask = F.interpolate(mask, size=x.shape[-2:], mode="nearest")
    return mask * gaussian_blur(x, sigma) + (1 - mask) * x


def gaussian_blur(x: Tensor, sigma: float) -> Tensor:
    """Blur x [batch, channels, h, w] with a Gaussian of 9 x 9, its edges reflected; 0 leaves it as it is."""
    if sigma <= 0:
        return x
    offsets = torch.arange(BLUR_SIZE, device=x.device, dtype=torch.float32) - BLUR_SIZE // 2
    kernel = torch.exp(-0.5 * (offsets / sigma) ** 2)
    kernel = (kernel / kernel.sum()).to(x)
    channels = x.shape[1]
    square = torch.outer(kernel, kernel).expand(channels, 1, -1, -1)
    padded = F.pad(x, (BLUR_SIZE // 2,) * 4, mode="reflect")
    return F.conv2d(padded, square, groups=channels)
