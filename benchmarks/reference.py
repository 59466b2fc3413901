"""The same networks and weights in diffusers, which the benchmarks measure against.

diffusers reads the checkpoint through its own `from_single_file`; the configurations lie in a temporary
folder, so that nothing is fetched. Needs `pip install diffusers`.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import torch


def load(path: Path, dtype: torch.dtype, part: str) -> Any:
    """The `unet` or the `vae` of an SD 1.x checkpoint."""
    import diffusers

    kind, config = {
        "unet": (diffusers.UNet2DConditionModel, {"cross_attention_dim": 768, "attention_head_dim": 8}),
        "vae": (
            diffusers.AutoencoderKL,
            {
                "block_out_channels": (128, 256, 512, 512),
                "down_block_types": ("DownEncoderBlock2D",) * 4,
                "up_block_types": ("UpDecoderBlock2D",) * 4,
                "layers_per_block": 2,
            },
        ),
    }[part]
    with tempfile.TemporaryDirectory() as folder:
        with torch.device("meta"):
            kind(**config).save_config(folder)
        network = kind.from_single_file(str(path), config=folder, torch_dtype=dtype, local_files_only=True)
    return network.eval().requires_grad_(False)
