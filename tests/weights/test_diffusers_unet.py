from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from comfykit.models.unet import UNet, UNetConfig
from comfykit.weights.diffusers_names import diffusers_names
from comfykit.weights.diffusers_unet import blocks, in_checkpoint_layout
from comfykit.weights.layouts import unet_config

SD15 = UNetConfig(model_channels=32, context_dim=8)
SDXL = UNetConfig(
    model_channels=64,
    channel_mult=(1, 2, 4),
    num_res_blocks=(2, 2, 2),
    input_depths=(0, 0, 1, 1, 2, 2),
    middle_depth=2,
    output_depths=(2, 2, 2, 1, 1, 1, 0, 0, 0),
    context_dim=8,
    adm_in_channels=16,
    use_linear=True,
)


@pytest.mark.parametrize("config", [SD15, SDXL], ids=["SD 1.x", "SDXL"])
def test_back_and_forth(config: UNetConfig) -> None:
    with torch.device("meta"):
        tensors = UNet(config).state_dict()
    layers = {name.rpartition(".")[0] for name in tensors}
    theirs = diffusers_names(layers, config)
    assert theirs.keys() == layers
    renamed = {
        f"{theirs[layer]}.{kind}": tensors[f"{layer}.{kind}"]
        for layer, _, kind in (name.rpartition(".") for name in tensors)
    }
    assert blocks(renamed).num_res_blocks == config.num_res_blocks
    assert blocks(renamed).output_depths == tuple(min(depth, 1) for depth in config.output_depths)
    found = in_checkpoint_layout(renamed)
    assert found.keys() == tensors.keys()
    assert all(found[name] is tensors[name] for name in tensors)


def test_what_unclip_models_are_told_has_one_name_in_checkpoints() -> None:
    found = in_checkpoint_layout({"class_embedding.linear_2.bias": torch.zeros(1)})
    assert found.keys() == {"label_emb.0.2.bias"}


def test_unknown_names_are_kept() -> None:
    names = {"time_embedding.cond_proj.weight", "x"}
    kept = in_checkpoint_layout(dict.fromkeys(names, torch.zeros(1)))
    assert kept.keys() >= {"time_embedding.cond_proj.weight"}


@torch.no_grad()
@pytest.mark.parametrize("kind", ["SD 1.x", "SD 2.x", "SDXL", "unCLIP"])
def test_a_unet_of_diffusers_computes_the_same(kind: str) -> None:
    diffusers = pytest.importorskip("diffusers")
    torch.manual_seed(0)
    attends = ("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D")
    options: dict[str, Any] = {
        "block_out_channels": (64, 128, 128),
        "down_block_types": attends,
        "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
        "layers_per_block": 2,
        "cross_attention_dim": 24,
        "attention_head_dim": 8 if kind == "SD 1.x" else (1, 2, 2),
        "use_linear_projection": kind != "SD 1.x",
    }
    if kind == "SDXL":
        options |= {
            "down_block_types": ("DownBlock2D", *attends[:2]),
            "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
            "transformer_layers_per_block": (1, 1, 2),
            "addition_embed_type": "text_time",
            "addition_time_embed_dim": 8,
            "projection_class_embeddings_input_dim": 6 * 8 + 10,
        }
    if kind == "unCLIP":
        options |= {"class_embed_type": "projection", "projection_class_embeddings_input_dim": 58}
    theirs = diffusers.UNet2DConditionModel(**options).eval()
    for parameter in theirs.parameters():
        parameter.add_(torch.randn_like(parameter) * 0.02)
    tensors = in_checkpoint_layout(theirs.state_dict())
    config = unet_config({name: tuple(tensor.shape) for name, tensor in tensors.items()})
    ours = UNet(replace(config)).eval()
    ours.load_state_dict(tensors)

    x, context = torch.randn(2, 4, 16, 16), torch.randn(2, 5, 24)
    timesteps, pooled, sizes = torch.tensor([7, 500]), torch.randn(2, 10), torch.rand(2, 6) * 1000
    told: dict[str, Any] = {}
    y = None
    if kind == "SDXL":
        from comfykit.models.layers import timestep_embedding

        told["added_cond_kwargs"] = {"text_embeds": pooled, "time_ids": sizes}
        y = torch.cat((pooled, timestep_embedding(sizes.flatten(), 8).reshape(2, -1)), dim=1)
    if kind == "unCLIP":
        y = torch.randn(2, 58)
        told["class_labels"] = y
    expected = theirs(x, timesteps, context, **told).sample
    torch.testing.assert_close(ours(x, timesteps, context, y), expected, rtol=1e-3, atol=1e-4)
