"""A tiny checkpoint of random weights, and the workflow that tests run on it.

The checkpoint has the layout of Stable Diffusion 1.x, so that everything from the file to the picture
is exercised as with a real one. Nothing was trained: the picture is noise. To write it into a home:

    python tests/random_weights.py HOME
"""

from __future__ import annotations

import json
import math
import os
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from comfykit.models.clip_text import ClipText, ClipTextConfig
from comfykit.models.unet import UNet, UNetConfig
from comfykit.models.vae import AutoencoderKL, VAEConfig
from comfykit.workflow.read import Workflow

CHECKPOINT = "random_weights.safetensors"
WORKFLOW = Path(__file__).with_name("random_weights.json")

CONTEXT_WIDTH = 128


def random_workflow() -> Workflow:
    """Text to image on the checkpoint: 128x128 pixels, 12 steps."""
    return Workflow(WORKFLOW.name, json.loads(WORKFLOW.read_text(encoding="utf-8")))


def ensure_checkpoint(home: Path) -> Path:
    """The checkpoint in a home, written if it is not there."""
    path = home / "models" / "checkpoints" / CHECKPOINT
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.{os.getpid()}.part")
        try:
            save_file(dict(random_tensors()), partial, {"comfykit": "random weights; pictures are noise"})
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
    return path


def random_tensors() -> Iterator[tuple[str, Tensor]]:
    """Every tensor of a tiny SD 1.x checkpoint, float16, the same on every machine."""
    with torch.device("meta"):
        parts: dict[str, nn.Module] = {
            "model.diffusion_model.": UNet(UNetConfig(model_channels=32, context_dim=CONTEXT_WIDTH)),
            "first_stage_model.": AutoencoderKL(VAEConfig(ch=32)),
            "cond_stage_model.transformer.text_model.": ClipText(
                ClipTextConfig(width=CONTEXT_WIDTH, heads=2, layers=2, mlp_width=2 * CONTEXT_WIDTH)
            ),
        }
    for prefix, network in parts.items():
        for name, tensor in network.state_dict().items():
            yield prefix + name, random_weights(prefix + name, tensor.shape)


def random_weights(name: str, shape: torch.Size) -> Tensor:
    """Weights, float16, that keep activations of order one, drawn from a generator of the tensor's own."""
    values = torch.randn(shape, generator=torch.Generator().manual_seed(zlib.crc32(name.encode())))
    if name.endswith("bias"):
        return (0.02 * values).half()
    if len(shape) == 1:  # the scale of a norm
        return (1.0 + 0.05 * values).half()
    if "embedding" in name:
        return (0.05 * values).half()
    return (values / math.sqrt(math.prod(shape[1:]))).half()


if __name__ == "__main__":
    ensure_checkpoint(Path(sys.argv[1]))
