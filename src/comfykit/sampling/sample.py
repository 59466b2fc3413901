"""Running a sampler: the one entry to this package."""

from __future__ import annotations

import math
from functools import partial

import torch
from torch import Tensor

from comfykit.sampling.conditioning import fit_mask
from comfykit.sampling.denoiser import Denoiser, StepCallback, ignore_step
from comfykit.sampling.inpaint import MaskedDenoiser, MaskRule, fresh_noise
from comfykit.sampling.noise_levels import NoiseLevels
from comfykit.sampling.parametrization import Parametrization
from comfykit.sampling.samplers import SamplerSpec, find_sampler


@torch.no_grad()
def run_sampler(
    denoiser: Denoiser,
    *,
    levels: NoiseLevels,
    parametrization: Parametrization,
    latent: Tensor,
    noise: Tensor,
    sigmas: Tensor,
    sampler: str | SamplerSpec,
    seed: int,
    mask: Tensor | None = None,
    mask_rule: MaskRule | None = None,
    callback: StepCallback = ignore_step,
) -> Tensor:
    """Take a latent through the levels `sigmas` with any denoiser.

    `latent` [batch, channels, ...] is in the model's own scale, on the device to sample on; `noise` has its
    shape (see `initial_noise`; zeros for a latent that is noised already). `seed` is that of the
    noise samplers add. `mask` [..., height, width], of any size, is 1 where the latent may change,
    as `mask_rule` may refine it for each level. The
    result is the latent at the last level, in the model's scale; with fewer than two levels it is `latent`.
    """
    if len(sigmas) < 2:
        return latent
    spec = (find_sampler(sampler) if isinstance(sampler, str) else sampler).for_model(levels)
    sigmas = sigmas.detach().float().cpu()
    noise = noise.to(latent)
    first, last = latent.new_tensor([float(sigmas[0]), float(sigmas[-1])])
    begins_in_noise = _is_largest(float(sigmas[0]), levels)
    x = parametrization.noise_latent(first, noise, latent, begins_in_noise)
    if mask is not None:
        outside = fresh_noise(noise, seed) if spec.fresh_mask_noise else noise
        rule = None if mask_rule is None else partial(mask_rule, sigmas=sigmas, levels=levels)
        denoiser = MaskedDenoiser(denoiser, fit_mask(mask, latent), latent, outside, parametrization, rule)
    step_noise = spec.noise(x, sigmas, seed)
    x = spec.run(denoiser, x, sigmas, noise=step_noise, callback=callback)
    return parametrization.finish(last, x)


def cut_sigmas(sigmas: Tensor, start: int, end: int, force_full_denoise: bool) -> Tensor:
    """The levels of a run that does only the steps from `start` up to (not including) `end`.

    With `force_full_denoise` a run that ends early goes to 0 in its last step; otherwise it leaves the noise
    of its last level. Empty when there is no step left to do.
    """
    steps = len(sigmas) - 1
    if end < steps:
        sigmas = sigmas[: end + 1].clone()
        if force_full_denoise:
            sigmas[-1] = 0.0
    return sigmas[start:] if start < len(sigmas) - 1 else sigmas[:0]


def _is_largest(sigma: float, levels: NoiseLevels) -> bool:
    """Whether a level is the model's largest, or above it."""
    return sigma > levels.sigma_max or math.isclose(sigma, levels.sigma_max, rel_tol=1e-5)
