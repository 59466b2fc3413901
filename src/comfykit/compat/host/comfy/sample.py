"""`comfy.sample`: sampling in one call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from comfykit.compat.host.comfy import samplers
from comfykit.compat.host.comfy.sampler_helpers import cleanup_additional_models, prepare_mask
from comfykit.sampling.noise import initial_noise

__all__ = ["cleanup_additional_models", "np", "prepare_mask", "prepare_noise", "sample", "sample_custom"]


def prepare_noise(latent_image: Tensor, seed: int, noise_inds: Sequence[int] | None = None) -> Tensor:
    """Noise for a latent, the same on every machine; with `noise_inds` that of places in a larger batch."""
    indices = None if noise_inds is None else [int(one) for one in noise_inds]
    return initial_noise(latent_image.cpu(), seed, indices)


def fix_empty_latent_channels(model: Any, latent_image: Tensor, *further: Any) -> Tensor:
    """An empty latent, with the channels and axes that a model wants."""
    if torch.count_nonzero(latent_image):
        return latent_image
    form = model.get_model_object("latent_format")
    shape = list(latent_image.shape)
    shape[1] = form.latent_channels
    if form.latent_dimensions == 3 and latent_image.ndim == 4:
        shape.insert(2, 1)
    return latent_image if shape == list(latent_image.shape) else latent_image.new_zeros(shape)


def prepare_sampling(
    model: Any, noise_shape: Any, positive: Any, negative: Any, noise_mask: Any
) -> tuple[Any, ...]:
    """Nothing but its inputs: runs prepare themselves."""
    return model, positive, negative, noise_mask, []


def sample(
    model: Any,
    noise: Tensor,
    steps: int,
    cfg: float,
    sampler_name: str,
    scheduler: str,
    positive: Any,
    negative: Any,
    latent_image: Tensor,
    denoise: float = 1.0,
    disable_noise: bool = False,
    start_step: int | None = None,
    last_step: int | None = None,
    force_full_denoise: bool = False,
    noise_mask: Tensor | None = None,
    sigmas: Tensor | None = None,
    callback: Any = None,
    disable_pbar: bool = False,
    seed: int | None = None,
) -> Tensor:
    """A run as KSampler makes it."""
    sampler = samplers.KSampler(
        model,
        steps=steps,
        device=model.load_device,
        sampler=sampler_name,
        scheduler=scheduler,
        denoise=denoise,
        model_options=model.model_options,
    )
    found = sampler.sample(
        noise,
        positive,
        negative,
        cfg=cfg,
        latent_image=latent_image,
        start_step=start_step,
        last_step=last_step,
        force_full_denoise=force_full_denoise,
        denoise_mask=noise_mask,
        sigmas=sigmas,
        callback=callback,
        disable_pbar=disable_pbar,
        seed=seed,
    )
    return found.cpu()


def sample_custom(
    model: Any,
    noise: Tensor,
    cfg: float,
    sampler: Any,
    sigmas: Tensor,
    positive: Any,
    negative: Any,
    latent_image: Tensor,
    noise_mask: Tensor | None = None,
    callback: Any = None,
    disable_pbar: bool = False,
    seed: int | None = None,
) -> Tensor:
    """A run with a sampler and a schedule of one's own."""
    found = samplers.sample(
        model,
        noise,
        positive,
        negative,
        cfg,
        model.load_device,
        sampler,
        sigmas,
        model_options=model.model_options,
        latent_image=latent_image,
        denoise_mask=noise_mask,
        callback=callback,
        disable_pbar=disable_pbar,
        seed=seed,
    )
    return found.cpu()
