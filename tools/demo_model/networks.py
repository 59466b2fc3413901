"""The shapes of the demo model's networks, all of them the project's own, and how they begin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from comfykit.models.clip_text import ClipText, ClipTextConfig
from comfykit.models.unet import UNet, UNetConfig
from comfykit.models.vae import AutoencoderKL, VAEConfig

CONTEXT_WIDTH = 64

VAE = VAEConfig(ch=32, ch_mult=(1, 1, 2, 2), num_res_blocks=1)
TEXT = ClipTextConfig(width=CONTEXT_WIDTH, heads=1, layers=4, mlp_width=4 * CONTEXT_WIDTH)
UNET = UNetConfig(
    model_channels=64,
    channel_mult=(1, 2),
    num_res_blocks=(1, 1),
    input_depths=(0, 1),
    middle_depth=1,
    output_depths=(1, 1, 0, 0),
    context_dim=CONTEXT_WIDTH,
)


def autoencoder() -> AutoencoderKL:
    """The autoencoder, its residual blocks adding nothing yet."""
    network = AutoencoderKL(VAE)
    silence(network, ".conv2")
    return network


def text_encoder(words: int) -> ClipText:
    """The text encoder, for a table of so many words."""
    network = ClipText(replace(TEXT, vocabulary=words))
    nn.init.normal_(network.embeddings.token_embedding.weight, std=0.2)
    nn.init.normal_(network.embeddings.position_embedding.weight, std=0.1)
    return network


def read_text(text: ClipText, vectors: Tensor) -> Tensor:
    """The last layer, normed, as SD 1.x reads its text encoder; of token vectors [B, tokens, width]."""
    normed: Tensor = text.final_layer_norm(text(vectors)[-1])
    return normed


def unet() -> UNet:
    """The U-Net, its residual blocks, transformers and output adding nothing yet."""
    network = UNet(UNET)
    silence(network, ".out_layers.3", ".proj_out", "out.2")
    return network


def silence(network: nn.Module, *endings: str) -> None:
    """Set the layers whose names end so to zero: a residual step that begins as nothing trains faster."""
    for name, module in network.named_modules():
        if name.endswith(endings) and isinstance(module, (nn.Conv2d, nn.Linear)):
            nn.init.zeros_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def pictures_to_tensor(pictures: Sequence[Image.Image]) -> Tensor:
    """Pictures of one size -> [B, 3, H, W] in [-1, 1]."""
    stacked = np.stack([np.asarray(picture) for picture in pictures])
    # Contiguous: on a CPU, norms of tensors whose channels lie innermost are several times slower.
    return torch.from_numpy(stacked).permute(0, 3, 1, 2).contiguous().float() / 127.5 - 1
