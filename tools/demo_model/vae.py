"""Trains the demo model's autoencoder: "Auto-Encoding Variational Bayes" (Kingma and Welling 2013)."""

from __future__ import annotations

from pathlib import Path
from random import Random

import torch
from torch import Tensor
from torch.nn import functional as F

from comfykit.families.sd15 import SD15
from comfykit.models.vae import AutoencoderKL
from drawing import draw
from networks import autoencoder, pictures_to_tensor
from scenes import random_scene
from training import Draw, Plan, half_precision, train

PLAN = Plan(steps=4500, rate=2e-3)
CROPS, CROP = 16, 64  # pictures of a step, and their side
WHOLE_FROM = 4000  # the step from which whole pictures are seen
WHOLE = 8
DECODER_PLAN = Plan(steps=1500, rate=1e-3, warmup=50, average=0.998)
KL_WEIGHT = 1e-4  # of the divergence per number of a latent, against the squared error per channel of a pixel
MEASURED = 512  # pictures that the latents' mean and deviation are measured on


def train_autoencoder(folder: Path, seed: int, device: torch.device) -> AutoencoderKL:
    """An autoencoder whose latents, times SD 1.x's scale, have mean 0 and deviation 1 in every channel."""
    torch.manual_seed(seed)
    network = autoencoder().to(device)

    def loss_of(chances: Draw) -> Tensor:
        pixels = _pictures(chances, whole=chances.step >= WHOLE_FROM).to(device)
        with half_precision(device):
            mean, logvar = network.encode(pixels)
            noise = chances.normal(*mean.shape).to(device)
            decoded = network.decode(mean + torch.exp(0.5 * logvar) * noise)
        error = decoded - pixels
        divergence = 0.5 * (mean.square() + logvar.exp() - 1 - logvar).mean()
        return error.square().mean() + 0.1 * error.abs().mean() + KL_WEIGHT * divergence

    train("vae", network, PLAN, loss_of, folder, seed)
    _standardise(network, device, seed)
    return network.eval().requires_grad_(False)


def refine_decoder(
    network: AutoencoderKL, folder: Path, seed: int, device: torch.device, *, compiled: bool
) -> None:
    """Train the decoder alone for longer: latents, and so what was trained on them, stay as they are.

    So did the second decoders that were published for SD 1.x (https://huggingface.co/stabilityai/sd-vae-ft-mse).
    """
    network.decoder.requires_grad_(True)
    decode = torch.compile(network.decode) if compiled else network.decode

    def loss_of(chances: Draw) -> Tensor:
        pixels = _pictures(chances, whole=True).to(device)
        with half_precision(device):
            with torch.no_grad():
                latents = network.to_latent(pixels)
            decoded = decode(latents)
        return F.l1_loss(decoded.float(), pixels) + F.mse_loss(decoded.float(), pixels)

    train("decoder", network, DECODER_PLAN, loss_of, folder, seed)
    network.requires_grad_(False)


def _pictures(chances: Draw, *, whole: bool) -> Tensor:
    """Whole pictures, or pieces of pictures, which cost less."""
    random = chances.random
    pictures = []
    for _ in range(WHOLE if whole else CROPS):
        style = "outlined" if random.random() < 0.15 else "flat"
        picture = draw(random_scene(random), random=random, style=style)
        if not whole:
            left, top = random.randrange(picture.width - CROP), random.randrange(picture.height - CROP)
            picture = picture.crop((left, top, left + CROP, top + CROP))
        pictures.append(picture)
    return pictures_to_tensor(pictures)


@torch.no_grad()
def _standardise(network: AutoencoderKL, device: torch.device, seed: int) -> None:
    """Move mean and deviation of the latents into the convolutions around them; no picture changes."""

    random = Random(f"{seed} latents")
    latents = torch.cat(
        [
            network.to_latent(
                pictures_to_tensor([draw(random_scene(random), random=random) for _ in range(32)]).to(device)
            )
            for _ in range(MEASURED // 32)
        ]
    )
    mean, deviation = latents.mean((0, 2, 3)), latents.std((0, 2, 3))
    channels = len(mean)
    wanted = 1 / SD15.latent_format.scale
    factor = wanted / deviation
    before, after = network.quant_conv, network.post_quant_conv
    # Behind the means come the logarithms of the variances, which grow by that of the factor squared.
    before.weight[:channels] *= factor[:, None, None, None]
    before.bias[:channels] = (before.bias[:channels] - mean) * factor
    before.bias[channels:] += 2 * factor.log()
    after.bias += torch.einsum("oc,c->o", after.weight[:, :, 0, 0], mean)
    after.weight /= factor[None, :, None, None]


def reconstruction_error(network: AutoencoderKL, device: torch.device, seed: int, count: int = 64) -> float:
    """PSNR in dB of pictures that went there and back."""

    random = Random(f"{seed} judged")
    pixels = pictures_to_tensor([draw(random_scene(random, unseen=True)) for _ in range(count)]).to(device)
    with torch.no_grad():
        again = network.decode(network.to_latent(pixels)).clamp(-1, 1)
    return float(-10 * torch.log10(F.mse_loss(again / 2, pixels / 2)))
