"""Writes trained networks in the layouts of published files, and reads the model back."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from comfykit.models.vae import AutoencoderKL
from diffusion import TextToNoise
from networks import autoencoder
from words import Words, words_of_captions

MADE_BY = "comfykit, tools/demo_model"

UNET, VAE, TEXT = (
    "model.diffusion_model.",
    "first_stage_model.",
    "cond_stage_model.transformer.text_model.",
)
TABLE = "embeddings.token_embedding.weight"


def save(path: Path, tensors: Mapping[str, Tensor], *, title: str, seed: int, **more: str) -> None:
    """Write tensors in float16, with what they are; the file appears whole or not at all."""
    metadata = {
        "modelspec.sai_model_spec": "1.0.0",
        "modelspec.title": title,
        "modelspec.author": MADE_BY,
        "modelspec.license": "Apache-2.0",
        "modelspec.description": f"Trained on drawn scenes of shapes by tools/demo_model, seed {seed}.",
        **more,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".part")
    halves = {name: tensor.detach().half().contiguous().cpu() for name, tensor in tensors.items()}
    save_file(halves, partial, metadata)
    partial.chmod(0o644)
    partial.replace(path)


def below(prefix: str, network: nn.Module) -> dict[str, Tensor]:
    """A network's tensors, their names after a prefix."""
    return {prefix + name: tensor for name, tensor in network.state_dict().items()}


def checkpoint_tensors(vae: AutoencoderKL, network: TextToNoise, words: Words) -> dict[str, Tensor]:
    """A checkpoint in the layout of SD 1.x."""
    tensors = below(UNET, network.unet) | below(VAE, vae) | below(TEXT, network.text)
    tensors[TEXT + TABLE] = words.full_table(tensors[TEXT + TABLE])
    return tensors


def load_checkpoint(path: Path, device: torch.device) -> tuple[AutoencoderKL, TextToNoise, Words]:
    """The demo model as it ships, in float32 and not to be trained."""
    tensors = {name: tensor.float() for name, tensor in load_file(path).items()}
    words = words_of_captions()
    tensors[TEXT + TABLE] = tensors[TEXT + TABLE][list(words.ids)]
    vae, network = autoencoder(), TextToNoise(len(words.ids))
    for prefix, part in ((UNET, network.unet), (VAE, vae), (TEXT, network.text)):
        part.load_state_dict(
            {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
        )
    for part in (vae, network):
        part.to(device).eval().requires_grad_(False)
    return vae, network, words


def save_checkpoint(
    path: Path, vae: AutoencoderKL, network: TextToNoise, words: Words, seed: int, **more: str
) -> None:
    """The demo model itself."""
    save(
        path,
        checkpoint_tensors(vae, network, words),
        title="comfykit demo",
        seed=seed,
        **{
            "modelspec.architecture": "stable-diffusion-v1",
            "modelspec.implementation": "https://github.com/Stability-AI/generative-models",
            "modelspec.resolution": "128x128",
            "modelspec.prediction_type": "epsilon",
            **more,
        },
    )
