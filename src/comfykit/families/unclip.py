"""What unCLIP models are told of pictures: their embeddings, with noise, and how much noise that is.

"Hierarchical Text-Conditional Image Generation with CLIP Latents" (Ramesh et al. 2022, arXiv 2204.06125), as
Stable unCLIP has it (Stability AI's `CLIPEmbeddingNoiseAugmentation`): noise levels of the cosine schedule
(arXiv 2102.09672, equation 17), the level as sinusoids beside the embedding.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor

from comfykit.errors import UsageError
from comfykit.models.layers import timestep_embedding

SEED_OFFSET = -10
"""To the seed of the run, as ComfyUI has it: else the noise would be that of the latent."""

LEVELS = 1000
LARGEST_BETA = 0.999

MIXED = 0.05
"""Noise, as a part of the levels, on the mixture of several pictures: level 50 in Stability AI's demo."""


def image_vector(pictures: Sequence[Mapping[str, Any]], width: int, seed: int) -> Tensor:
    """The vector [1, 2 * width] for the pictures of a conditioning's `unclip_conditioning`.

    Each embedding [width] gets noise and its level, times its strength; those of several pictures (those of a
    batch count one by one) are added, and their sum gets noise once more. The noise is drawn from `seed`
    alone, the same for all. Raises `UsageError` for embeddings of another width.
    """
    vectors = [
        one["strength"] * _noised(embedding[None].float().cpu(), one["noise_augmentation"], width, seed)
        for one in pictures
        for embedding in one["clip_vision_output"].image_embeds
    ]
    total = torch.stack(vectors).sum(dim=0)
    return total if len(vectors) == 1 else _noised(total[:, :width], MIXED, width, seed)


def _noised(embedding: Tensor, part: float, width: int, seed: int) -> Tensor:
    """An embedding [1, width] at the level after a part of all levels, and the sinusoids of the level."""
    if embedding.shape[-1] != width:
        raise UsageError(
            f"the picture is encoded in {embedding.shape[-1]} numbers, and the model takes {width}",
            hint="encode it with the vision encoder that the model was made for",
        )
    level = round((LEVELS - 1) * part)
    abar = _abar()[level]
    noise = torch.randn(embedding.shape, generator=torch.Generator().manual_seed(seed + SEED_OFFSET))
    noised = float(abar.sqrt()) * embedding + float((1 - abar).sqrt()) * noise
    return torch.cat((noised, timestep_embedding(torch.tensor([level]), width)), dim=1)


@cache
def _abar() -> Tensor:
    """What is left of the squared signal at each level, float64 [levels]."""
    signal = [math.cos((level / LEVELS + 0.008) / 1.008 * math.pi / 2) ** 2 for level in range(LEVELS + 1)]
    betas = [min(1 - after / before, LARGEST_BETA) for before, after in itertools.pairwise(signal)]
    return torch.cumprod(1 - torch.tensor(betas, dtype=torch.float64), dim=0)
