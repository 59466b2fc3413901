"""Writes trained networks as the files that ship, each in the layout of the published ones of its kind."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor, nn

from comfykit.models.vae import AutoencoderKL
from diffusion import TextToNoise
from words import Words

MADE_BY = "comfykit, tools/demo_model"


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
    text = below("cond_stage_model.transformer.text_model.", network.text)
    table = "cond_stage_model.transformer.text_model.embeddings.token_embedding.weight"
    text[table] = words.full_table(text[table])
    return {
        **below("model.diffusion_model.", network.unet),
        **below("first_stage_model.", vae),
        **text,
    }


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
