"""Autoencoders of diffusers' layout: by shapes alone, and against diffusers itself."""

from __future__ import annotations

import pytest
import torch

from comfykit.models.vae import AutoencoderKL, VAEConfig
from comfykit.weights.detect import Detected, VAEPart, detect
from comfykit.weights.diffusers_vae import in_checkpoint_layout, rename
from comfykit.weights.load import build

CONFIG = VAEConfig(ch=32, ch_mult=(1, 2, 2), num_res_blocks=2)


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("encoder.down_blocks.1.resnets.0.conv_shortcut.bias", "encoder.down.1.block.0.nin_shortcut.bias"),
        ("encoder.down_blocks.0.downsamplers.0.conv.weight", "encoder.down.0.downsample.conv.weight"),
        ("decoder.up_blocks.0.resnets.2.norm1.weight", "decoder.up.3.block.2.norm1.weight"),
        ("decoder.up_blocks.2.upsamplers.0.conv.bias", "decoder.up.1.upsample.conv.bias"),
        ("decoder.mid_block.resnets.1.conv2.weight", "decoder.mid.block_2.conv2.weight"),
        ("encoder.mid_block.attentions.0.group_norm.bias", "encoder.mid.attn_1.norm.bias"),
        ("encoder.mid_block.attentions.0.to_out.0.weight", "encoder.mid.attn_1.proj_out.weight"),
        ("encoder.mid_block.attentions.0.query.weight", "encoder.mid.attn_1.q.weight"),
        ("decoder.mid_block.attentions.0.proj_attn.bias", "decoder.mid.attn_1.proj_out.bias"),
        ("encoder.conv_norm_out.weight", "encoder.norm_out.weight"),
        ("decoder.conv_out.bias", "decoder.conv_out.bias"),
        ("quant_conv.weight", "quant_conv.weight"),
    ],
)
def test_names(theirs: str, ours: str) -> None:
    highest = "decoder.up_blocks.3.resnets.0.norm1.weight"
    assert rename([theirs, highest])[theirs] == ours


@torch.no_grad()
def test_a_vae_of_diffusers_is_found_and_computes_the_same() -> None:
    diffusers = pytest.importorskip("diffusers")
    torch.manual_seed(0)
    theirs = diffusers.AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        block_out_channels=(32, 64, 64),
        layers_per_block=2,
        norm_num_groups=32,
    ).eval()
    tensors = theirs.state_dict()
    found = detect({name: tuple(tensor.shape) for name, tensor in tensors.items()})
    assert found == Detected("vae", "vae", vae=VAEPart("", CONFIG, diffusers=True))

    renamed = in_checkpoint_layout(tensors)
    attention = "encoder.mid.attn_1.q.weight"
    assert renamed[attention].data_ptr() == tensors["encoder.mid_block.attentions.0.to_q.weight"].data_ptr()
    ours = build(lambda: AutoencoderKL(CONFIG), renamed, what="the VAE")
    pictures = torch.rand(1, 3, 16, 24) * 2 - 1
    latent = theirs.encode(pictures).latent_dist.mean
    close = {"rtol": 1e-4, "atol": 1e-5}
    torch.testing.assert_close(ours.to_latent(pictures), latent, **close)
    torch.testing.assert_close(ours.decode(latent), theirs.decode(latent).sample, **close)
