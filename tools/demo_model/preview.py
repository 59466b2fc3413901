"""Trains the decoder for previews, and fits the map from latents to colours that needs no network.

The layout is that of https://github.com/madebyollin/taesd (MIT), at half of its width.
"""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

import torch
from torch import Tensor
from torch.nn import functional as F

from comfykit.families.sd15 import SD15
from comfykit.models.taesd import TAESD, TAESDConfig
from comfykit.models.vae import AutoencoderKL
from drawing import draw
from networks import pictures_to_tensor
from scenes import random_scene
from training import Draw, Plan, half_precision, train

WIDTH = 32
PLAN = Plan(steps=1000, rate=1.5e-3, warmup=50, average=0.995)
BATCH = 8
FITTED = 256  # pictures that the linear map is fitted to


def train_preview(vae: AutoencoderKL, folder: Path, seed: int, device: torch.device) -> dict[str, Tensor]:
    """The tensors of a decoder file of TAESD's."""
    torch.manual_seed(seed + 6)
    network = TAESD(TAESDConfig(width=WIDTH, scale=SD15.latent_format.scale)).to(device)
    network.encoder.requires_grad_(False)

    def loss_of(chances: Draw) -> Tensor:
        random = chances.random
        pictures = [draw(random_scene(random), random=random) for _ in range(BATCH)]
        pixels = pictures_to_tensor(pictures).to(device)
        with half_precision(device):
            with torch.no_grad():
                latents = vae.to_latent(pixels)
            # A little noise: latents are previewed before they are clean.
            dirt = 0.3 * chances.random.random() * chances.normal(*latents.shape).to(device)
            decoded = network.decode(latents + dirt)
        return F.l1_loss(decoded.float(), pixels) + F.mse_loss(decoded.float(), pixels)

    train("preview", network, PLAN, loss_of, folder, seed)
    return dict(network.decoder.state_dict())


@torch.no_grad()
def latent_to_rgb(vae: AutoencoderKL, seed: int, device: torch.device) -> str:
    """Colours 0 to 1 as a linear map of scaled latents: JSON, four rows of factors and a bias."""
    random = Random(f"{seed} colours")
    pictures = [draw(random_scene(random), random=random) for _ in range(FITTED)]
    pixels = pictures_to_tensor(pictures).to(device)
    latents = torch.cat([vae.to_latent(part) for part in pixels.split(32)]) * SD15.latent_format.scale
    colours = F.avg_pool2d((pixels + 1) / 2, vae.downscale)
    rows = latents.permute(0, 2, 3, 1).flatten(0, 2)
    inputs = torch.cat((rows, rows.new_ones(len(rows), 1)), 1)
    solution = torch.linalg.lstsq(inputs, colours.permute(0, 2, 3, 1).flatten(0, 2)).solution
    return json.dumps([[round(float(factor), 4) for factor in row] for row in solution])
