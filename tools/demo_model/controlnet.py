"""Trains the ControlNet: edges say where shapes are and what they look like.

"Adding Conditional Control to Text-to-Image Diffusion Models" (Zhang et al. 2023): a copy of the way
down, joined by convolutions that begin at zero; half of the captions are dropped (section 3.3).
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from random import Random

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from captions import caption
from comfykit.models.controlnet import ControlNet, ControlNetConfig
from comfykit.nodes.canny import canny
from diffusion import Noise, Scenes, TextToNoise
from drawing import draw
from networks import UNET, silence
from scenes import Scene, random_scene
from training import Draw, Plan, half_precision, train
from words import Words

PLAN = Plan(steps=1000, rate=8e-4, warmup=100, average=0.995)
BATCH = 32
HINT_WIDTHS = (16, 16, 32, 32, 48, 48, 64)
THRESHOLDS = ((0.05, 0.4), (0.2, 0.7))  # lowest and highest of the lower and of the upper


def edges_network() -> ControlNet:
    """The ControlNet, adding nothing yet."""
    network = ControlNet(ControlNetConfig(replace(UNET, output_depths=()), hint_widths=HINT_WIDTHS))
    silence(network, *(f"zero_convs.{i}.0" for i in range(len(network.zero_convs))), "middle_block_out.0")
    return network


def train_edges(
    network: TextToNoise, words: Words, scenes: Scenes, folder: Path, seed: int, device: torch.device
) -> dict[str, Tensor]:
    """The tensors of a ControlNet file."""
    torch.manual_seed(seed + 3)
    unet, noise_of = network.unet, Noise(device)
    control = edges_network()
    control.load_state_dict(
        {name: value for name, value in unet.state_dict().items() if name in control.state_dict()},
        strict=False,
    )
    control.to(device)

    def loss_of(chances: Draw) -> Tensor:
        random = chances.random
        chosen = [_scattered(random_scene(random), random) for _ in range(BATCH)]
        painted: list[Image.Image] = []

        def paint(scene: Scene, width: int, height: int, inner: Random) -> Image.Image:
            painted.append(draw(scene, width, height, random=inner))
            return painted[-1]

        latents = scenes.encode(chosen, random, paint=paint)
        hints = _edges(painted, random).to(device)
        seen = noise_of.disturb(chances, latents)
        captions = [_said(scene, random) for scene in chosen]
        with half_precision(device):
            context = network.context(words.encode(captions).to(device))
            residuals = control(seen.latents, control.read_hint(hints), seen.timesteps, context)
            predicted = unet(seen.latents, seen.timesteps, context, control=residuals)
        return noise_of.loss(predicted, seen)

    train("edges", control, PLAN, loss_of, folder, seed)
    return {f"control_model.{name}": value for name, value in control.state_dict().items()}


def _scattered(scene: Scene, random: Random) -> Scene:
    """Half of the time, shapes of any size at any place, where only edges can tell."""
    if random.random() < 0.5:
        return scene
    shapes = []
    for shape in scene.shapes:
        radius = random.uniform(0.12, 0.36 if len(scene.shapes) == 1 else 0.2)
        x, y = (random.uniform(radius, 1 - radius) for _ in range(2))
        shapes.append(replace(shape, x=x, y=y, radius=radius))
    return replace(scene, shapes=tuple(shapes), position=None, relation=None)


def _said(scene: Scene, random: Random) -> str:
    """A caption that tells all, only colours, or nothing."""
    chance = random.random()
    if chance < 0.15:
        return ""
    if chance < 0.4:
        said = " and ".join(f"a {shape.colour} shape" for shape in scene.shapes)
        return f"{said} on a {scene.background} background" if said else ""
    return caption(scene, random)


def _edges(pictures: list[Image.Image], random: Random) -> Tensor:
    """Hints [B, 3, H, W] in 0 to 1, at thresholds of all kinds, which is how users find them."""
    hints = []
    for picture in pictures:
        pixels = torch.from_numpy(np.asarray(picture).copy()).float()[None] / 255
        low, high = (random.uniform(*span) for span in THRESHOLDS)
        hints.append(canny(pixels, low, max(low, high)))
    return torch.cat(hints)[:, None].expand(-1, 3, -1, -1)
