"""Nodes that say what noise a run begins with."""

from __future__ import annotations

from comfykit.engine.define import node
from comfykit.nodes.sampling import Seed
from comfykit.nodes.types import NoiseInput
from comfykit.sampling.latent_noise import NoNoise, RandomNoise

CATEGORY = "sampling/custom_sampling/noise"


@node("RandomNoise", title="RandomNoise", category=CATEGORY)
def random_noise(noise_seed: Seed) -> NoiseInput:
    """Noise drawn from a seed; samplers draw theirs from it too."""
    return RandomNoise(noise_seed)


@node("DisableNoise", title="DisableNoise", category=CATEGORY)
def disable_noise() -> NoiseInput:
    """No noise, for a latent that has noise in it already."""
    return NoNoise()
