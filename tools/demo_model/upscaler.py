"""Trains the upscaler: pictures to twice their size, sharp edges kept.

"Real-ESRGAN" (Wang et al. 2021) without its discriminator, and with the loss of "HINet" (Chen et al. 2021,
equation 3): the peak signal-to-noise ratio itself.
"""

from __future__ import annotations

from pathlib import Path
from random import Random

import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from comfykit.models.esrgan import RRDBNet, RRDBNetConfig
from comfykit.models.vae import AutoencoderKL
from drawing import draw
from networks import pictures_to_tensor
from scenes import random_scene
from training import Draw, Plan, half_precision, train

CONFIG = RRDBNetConfig(width=32, growth=16, blocks=2, doublings=1)
PLAN = Plan(steps=3000, rate=1e-3, warmup=50, average=0.995)
BATCH, CROP = 12, 64  # pictures of a step, and the side of the pieces that are enlarged
SIDE = 128
DECODED_PART = 0.2  # of the pictures go through the autoencoder first, as those of the model have
SMALLEST = 1e-5  # mean squared error below which a piece asks for no more (50 dB)


def train_upscaler(vae: AutoencoderKL, folder: Path, seed: int, device: torch.device) -> dict[str, Tensor]:
    """The tensors of an upscaler file, under Real-ESRGAN's names."""
    torch.manual_seed(seed + 5)
    network = RRDBNet(CONFIG).to(device)
    _begin_as_bilinear(network)

    def loss_of(chances: Draw) -> Tensor:
        small, large = (side.to(device) for side in _pairs(chances, vae, device))
        with half_precision(device):
            enlarged = network(small)
        error = F.mse_loss(enlarged.float(), large, reduction="none").mean((1, 2, 3))
        return torch.log10(error + SMALLEST).mean()

    train("upscaler", network, PLAN, loss_of, folder, seed)
    return dict(network.state_dict())


@torch.no_grad()
def _begin_as_bilinear(network: RRDBNet) -> None:
    """Let three features carry the picture to the end, so that only what is wrong with it is to be learned.

    Pixels that were doubled, weighed 1 2 1 along both axes, are the picture enlarged bilinearly.
    """
    weights = torch.tensor([1.0, 2.0, 1.0]) / 4
    same, tent = torch.zeros(3, 3), torch.outer(weights, weights)
    same[1, 1] = 1
    network.conv_body.weight.zero_()
    network.conv_last.weight.zero_()
    for name, kernel in (("conv_first", same), ("conv_up1", tent), ("conv_hr", same), ("conv_last", same)):
        convolution = network.get_submodule(name)
        assert isinstance(convolution, torch.nn.Conv2d)
        convolution.bias.zero_()
        for channel in range(3):
            convolution.weight[channel] = 0
            convolution.weight[channel, channel] = kernel


def _pairs(chances: Draw, vae: AutoencoderKL, device: torch.device) -> tuple[Tensor, Tensor]:
    """Pieces of pictures [B, 3, CROP, CROP] in 0 to 1, and the same at twice the size."""
    random = chances.random
    small, large = zip(*(_pair(random) for _ in range(BATCH)), strict=True)
    pixels, wanted = pictures_to_tensor(small).to(device), (pictures_to_tensor(large) + 1) / 2
    if random.random() < DECODED_PART:
        with torch.no_grad(), half_precision(device):
            pixels = vae.decode(vae.to_latent(pixels)).clamp(-1, 1)
    return (pixels + 1) / 2, wanted


def _pair(random: Random) -> tuple[Image.Image, Image.Image]:
    scene, chances = random_scene(random), random.getrandbits(32)
    small = draw(scene, SIDE, SIDE, random=Random(chances))
    large = draw(scene, 2 * SIDE, 2 * SIDE, random=Random(chances))
    left, top = random.randrange(SIDE - CROP), random.randrange(SIDE - CROP)
    return (
        small.crop((left, top, left + CROP, top + CROP)),
        large.crop((2 * left, 2 * top, 2 * (left + CROP), 2 * (top + CROP))),
    )
