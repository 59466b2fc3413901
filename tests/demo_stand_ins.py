"""Files that stand in for those of the demo model which are not in the package yet.

They have random weights and the layouts of the trained ones; with those in the package, none is written.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from comfykit.home import PACKAGED
from comfykit.models.controlnet import ControlNet, ControlNetConfig
from comfykit.models.esrgan import RRDBNet, RRDBNetConfig
from comfykit.models.unet import UNetConfig
from random_weights import random_weights

UNET = UNetConfig(
    model_channels=64,
    channel_mult=(1, 2),
    num_res_blocks=(1, 1),
    input_depths=(0, 1),
    output_depths=(1, 1, 0, 0),
    context_dim=64,
)
LAYER = "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn1_to_q"
WIDTH, RANK = 128, 2


def lora() -> dict[str, Tensor]:
    return {
        f"{LAYER}.lora_up.weight": random_weights("up", torch.Size((WIDTH, RANK))),
        f"{LAYER}.lora_down.weight": random_weights("down", torch.Size((RANK, WIDTH))),
        f"{LAYER}.alpha": torch.tensor(float(RANK)),
    }


def edges() -> dict[str, Tensor]:
    config = ControlNetConfig(replace(UNET, output_depths=()), hint_widths=(4, 4, 8, 8, 8, 8, 16))
    return _of("control_model.", lambda: ControlNet(config))


def upscaler() -> dict[str, Tensor]:
    return _of("", lambda: RRDBNet(RRDBNetConfig(width=8, growth=4, blocks=1, unshuffle=2)))


FILES: Mapping[str, Callable[[], dict[str, Tensor]]] = {
    "loras/demo_outlined.safetensors": lora,
    "controlnet/demo_edges.safetensors": edges,
    "upscale_models/demo_x2.safetensors": upscaler,
}


def write_missing(home: Path) -> None:
    """Those that the package lacks, into a home."""
    for name, make in FILES.items():
        if not (PACKAGED / name).is_file():
            path = home / "models" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            save_file({key: value.contiguous() for key, value in make().items()}, path)


def _of(prefix: str, network: Callable[[], nn.Module]) -> dict[str, Tensor]:
    with torch.device("meta"):
        shapes = {name: tensor.shape for name, tensor in network().state_dict().items()}
    return {prefix + name: random_weights(prefix + name, shape) for name, shape in shapes.items()}
