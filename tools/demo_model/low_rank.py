"""Trains the LoRA: shapes with a thick black outline.

"LoRA: Low-Rank Adaptation of Large Language Models" (Hu et al. 2021), section 4.1, on every linear layer
and every convolution of the U-Net.
"""

from __future__ import annotations

from pathlib import Path
from random import Random

import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn.utils import parametrize

from captions import caption
from comfykit.weights.diffusers_names import diffusers_names
from diffusion import Noise, Scenes, TextToNoise
from drawing import draw
from networks import UNET
from scenes import Scene, random_scene
from training import Draw, Plan, half_precision, train
from words import Words

PLAN = Plan(steps=500, rate=2e-3, warmup=50, average=0.99)
BATCH = 32
RANK = 8


class LowRank(nn.Module):
    """A weight [out, ...] plus `up @ down`."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        out, inside = weight.shape[0], weight[0].numel()
        self.down = nn.Parameter(torch.randn(RANK, inside) / inside**0.5)
        self.up = nn.Parameter(torch.zeros(out, RANK))

    def forward(self, weight: Tensor) -> Tensor:
        """The weight in use."""
        return weight + (self.up @ self.down).view_as(weight)


def train_outlines(
    network: TextToNoise, words: Words, scenes: Scenes, folder: Path, seed: int, device: torch.device
) -> dict[str, Tensor]:
    """The tensors of a LoRA file, under kohya's names."""
    torch.manual_seed(seed + 2)
    unet, noise_of = network.unet, Noise(device)
    layers = {
        name: module
        for name, module in unet.named_modules()
        if isinstance(module, (nn.Linear, nn.Conv2d)) and not name.startswith(("time_embed", "out."))
    }
    added = nn.ModuleDict({name.replace(".", "_"): LowRank(module.weight) for name, module in layers.items()})
    added.to(device)
    shapes = {name: module.weight.shape for name, module in layers.items()}
    for name, module in layers.items():
        parametrize.register_parametrization(module, "weight", added[name.replace(".", "_")])

    def loss_of(chances: Draw) -> Tensor:
        random = chances.random
        chosen = [random_scene(random, random.choice((1, 1, 2))) for _ in range(BATCH)]
        latents = scenes.encode(chosen, random, paint=_outlined)
        seen = noise_of.disturb(chances, latents)
        captions = ["" if random.random() < 0.1 else caption(scene, random) for scene in chosen]
        with half_precision(device):
            context = network.context(words.encode(captions).to(device))
            predicted = unet(seen.latents, seen.timesteps, context)
        return noise_of.loss(predicted, seen)

    train("outlined", added, PLAN, loss_of, folder, seed)
    tensors = _kohya(layers, added, shapes)
    for module in layers.values():
        parametrize.remove_parametrizations(module, "weight", leave_parametrized=False)
    return tensors


def _outlined(scene: Scene, width: int, height: int, random: Random) -> Image.Image:
    return draw(scene, width, height, style="outlined", random=random)


def _kohya(
    layers: dict[str, nn.Module], added: nn.ModuleDict, shapes: dict[str, torch.Size]
) -> dict[str, Tensor]:
    tensors = {}
    for layer, theirs in diffusers_names(layers, UNET).items():
        low_rank = added[layer.replace(".", "_")]
        name, shape = "lora_unet_" + theirs.replace(".", "_"), shapes[layer]
        tensors[f"{name}.lora_down.weight"] = low_rank.down.view(RANK, *shape[1:])
        tensors[f"{name}.lora_up.weight"] = low_rank.up.view(*low_rank.up.shape, *(1 for _ in shape[2:]))
        tensors[f"{name}.alpha"] = torch.tensor(float(RANK))
    return tensors
