"""Trains the textual inversion: four vectors that stand for the moon in a night sky.

"An Image is Worth One Word: Personalizing Text-to-Image Generation using Textual Inversion" (Gal et al.
2022), equation 2: everything but the vectors stays as it is.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from diffusion import Noise, Scenes, TextToNoise
from networks import CONTEXT_WIDTH, read_text
from scenes import ALONE, Scene, Shape
from training import Draw, Plan, half_precision, train
from words import Words

PLAN = Plan(steps=800, rate=2e-2, warmup=20, average=0.98)
BATCH = 16
HIDDEN = 0.4  # part of the pictures that noise replaces: what is left to tell then is what the vectors say
VECTORS = 4
INITIAL = "shape"  # the word whose vector they begin as


class Vectors(nn.Module):
    """The vectors that are learned [VECTORS, width]."""

    def __init__(self, initial: Tensor) -> None:
        super().__init__()
        self.vectors = nn.Parameter(initial.repeat(VECTORS, 1) + 0.01 * torch.randn(VECTORS, CONTEXT_WIDTH))


def train_night(
    network: TextToNoise, words: Words, scenes: Scenes, folder: Path, seed: int, device: torch.device
) -> dict[str, Tensor]:
    """The tensor of a textual-inversion file."""
    torch.manual_seed(seed + 4)
    noise_of = Noise(device)
    row = words.encode([INITIAL])[0, 1].to(device)
    learned = Vectors(network.text.embed(row[None])[0]).to(device)
    frame = network.text.embed(words.encode([" ".join([INITIAL] * VECTORS)]).to(device))

    def loss_of(chances: Draw) -> Tensor:
        random = chances.random
        chosen = [_night(chances) for _ in range(BATCH)]
        latents = scenes.encode(chosen, random)
        seen = noise_of.disturb(chances, latents, HIDDEN)
        with half_precision(device):
            vectors = torch.cat((frame[:, :1], learned.vectors[None], frame[:, 1 + VECTORS :]), 1)
            context = read_text(network.text, vectors).expand(BATCH, -1, -1)
            predicted = network.unet(seen.latents, seen.timesteps, context)
        return noise_of.loss(predicted, seen)

    train("night", learned, PLAN, loss_of, folder, seed)
    return {"emb_params": learned.vectors}


def _night(chances: Draw) -> Scene:
    """A yellow moon high in a striped purple sky."""
    x, y = chances.random.uniform(0.3, 0.7), chances.random.uniform(0.25, 0.4)
    return Scene((Shape("circle", "yellow", "medium", x, y, ALONE["medium"]),), "purple", "striped")
