"""The node that noises a latent without sampling it."""

from __future__ import annotations

import torch

from comfykit.engine.define import node
from comfykit.families.guiders import fit_channels
from comfykit.nodes.types import Latent, Model, NoiseInput, Sigmas


@node("AddNoise", title="AddNoise", category="_for_testing/custom_sampling/noise")
def add_noise(model: Model, noise: NoiseInput, sigmas: Sigmas, latent_image: Latent) -> Latent:
    """Add noise to a latent: as much as lies between the first and the last of `sigmas`.

    With a single level it is that of the level, with none the latent stays as it is.
    """
    if len(sigmas) == 0:
        return latent_image
    level = (sigmas[0] - sigmas[-1]).abs() if len(sigmas) > 1 else sigmas[0]
    form = model.family.latent_format
    samples = fit_channels(latent_image["samples"], form.channels)
    latent = form.to_model(samples)
    drawn = noise.generate_noise({**latent_image, "samples": samples})
    noised = model.parametrization.noise_latent(level, drawn.to(latent), latent, False)
    return {**latent_image, "samples": torch.nan_to_num(form.from_model(noised), 0.0, 0.0, 0.0)}
