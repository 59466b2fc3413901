"""LoRA names against the names of real networks' parameters."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from comfykit.models.unet import UNet, UNetConfig
from comfykit.weights.detect import detect
from comfykit.weights.diffusers_names import diffusers_names
from comfykit.weights.lora import parse_lora
from comfykit.weights.lora_names import Layers, locate, match, text_layers, unet_layers

TEXT = "cond_stage_model.transformer.text_model."


@pytest.mark.parametrize(
    ("name", "target", "layer"),
    [
        ("lora_unet_mid_block_attentions_0_proj_in", "unet", "mid_block_attentions_0_proj_in"),
        ("lora_te_text_model_encoder_layers_0_mlp_fc1", "te1", "text_model_encoder_layers_0_mlp_fc1"),
        ("lora_te1_text_model_x", "te1", "text_model_x"),
        ("lora_te2_text_model_x", "te2", "text_model_x"),
        ("text_encoder_2.text_model.x", "te2", "text_model_x"),
        ("text_encoder.text_model.x", "te1", "text_model_x"),
        ("text_encoders.clip_g.transformer.text_model.x", "clip_g", "text_model_x"),
        ("unet.down_blocks.0.attn1.processor.to_q", "unet", "down_blocks_0_attn1_to_q"),
        ("unet.down_blocks.0.attn1.processor.to_out", "unet", "down_blocks_0_attn1_to_out_0"),
        ("base_model.model.mid_block.x", "unet", "mid_block_x"),
        ("diffusion_model.input_blocks.1.1.x", "unet", "input_blocks_1_1_x"),
        ("model.diffusion_model.out.2", "unet", "out_2"),
    ],
)
def test_the_prefix_names_the_network(name: str, target: str, layer: str) -> None:
    assert locate(name) == (target, layer)


def table(shared: Path, name: str) -> dict[str, tuple[int, ...]]:
    text = (shared / "synth" / "families" / f"{name}.json").read_text(encoding="utf-8")
    return {key: tuple(shape) for key, shape in json.loads(text).items()}


def networks(shapes: dict[str, tuple[int, ...]]) -> dict[str, Layers]:
    found = detect(shapes)
    assert found.unet is not None
    unet = below(shapes, found.unet.prefix)
    text = below(shapes, TEXT)
    return {"unet": unet_layers(unet, found.unet.config), "te1": text_layers(text)}


def below(shapes: dict[str, tuple[int, ...]], prefix: str) -> dict[str, tuple[int, ...]]:
    return {name[len(prefix) :]: shape for name, shape in shapes.items() if name.startswith(prefix)}


@pytest.mark.parametrize(
    ("checkpoint", "lora"),
    [
        ("tiny_sd15", "tiny_sd15_lora"),
        ("tiny_sd15", "tiny_sd15_loha"),
        ("tiny_sd15", "tiny_sd15_lokr"),
        ("tiny_sd15", "tiny_sd15_dora"),
        ("tiny_sdxl", "tiny_sdxl_lora"),
    ],
)
def test_every_layer_of_published_layouts_is_one_parameter(shared: Path, checkpoint: str, lora: str) -> None:
    shapes = table(shared, lora)
    parsed = parse_lora({name: torch.empty(shape) for name, shape in shapes.items()})
    assert len(parsed.layers) == len({name.partition(".")[0] for name in shapes})
    matched = match(parsed, networks(table(shared, checkpoint)))
    assert not matched.unmatched
    assert not matched.misfits
    assert not matched.elsewhere
    assert not parsed.unknown
    # No two layers share a parameter, or there would be fewer.
    assert sum(map(len, matched.patches.values())) == len(parsed.layers)


SD15 = UNetConfig(model_channels=32, context_dim=16)
SDXL = UNetConfig(
    model_channels=64,
    channel_mult=(1, 2, 4),
    num_res_blocks=(2, 2, 2),
    input_depths=(0, 0, 2, 2, 10, 10),
    middle_depth=10,
    output_depths=(10, 10, 10, 2, 2, 2, 0, 0, 0),
    context_dim=2048,
    adm_in_channels=2816,
    use_linear=True,
)


def shapes_of(config: UNetConfig) -> dict[str, tuple[int, ...]]:
    with torch.device("meta"):
        return {name: tuple(tensor.shape) for name, tensor in UNet(config).named_parameters()}


@pytest.mark.parametrize("config", [SD15, SDXL])
def test_no_two_layers_have_the_same_name(config: UNetConfig) -> None:
    layers = {name.rpartition(".")[0] for name in shapes_of(config)}
    theirs = diffusers_names(layers, config)
    assert theirs.keys() == layers
    assert len(set(theirs.values())) == len(layers)
    assert len(unet_layers(shapes_of(config), config).by_name) == 2 * len(layers)


@pytest.mark.parametrize(("config", "blocks"), [(SD15, 4), (SDXL, 3)])
def test_names_are_those_of_diffusers(config: UNetConfig, blocks: int) -> None:
    diffusers = pytest.importorskip("diffusers")
    attended = [any(config.input_depths[2 * level : 2 * level + 2]) for level in range(blocks)]
    down = tuple("CrossAttnDownBlock2D" if there else "DownBlock2D" for there in attended)
    up = tuple("CrossAttnUpBlock2D" if there else "UpBlock2D" for there in reversed(attended))
    depths = tuple(max(config.input_depths[2 * level], 1) for level in range(blocks))
    with torch.device("meta"):
        theirs = diffusers.UNet2DConditionModel(
            block_out_channels=tuple(config.model_channels * mult for mult in config.channel_mult),
            down_block_types=down,
            up_block_types=up,
            cross_attention_dim=config.context_dim,
            transformer_layers_per_block=depths,
            attention_head_dim=8,
            use_linear_projection=config.use_linear,
            addition_embed_type="text_time" if config.adm_in_channels else None,
            addition_time_embed_dim=256 if config.adm_in_channels else None,
            projection_class_embeddings_input_dim=config.adm_in_channels,
        )
    shapes = {name: tuple(tensor.shape) for name, tensor in theirs.named_parameters()}
    ours = shapes_of(config)
    names = diffusers_names({name.rpartition(".")[0] for name in ours}, config)
    renamed = {
        f"{names[layer]}.{kind}": shape
        for name, shape in ours.items()
        for layer, _, kind in [name.rpartition(".")]
    }
    assert renamed == shapes


def test_what_does_not_fit_is_told_apart() -> None:
    layers = unet_layers(shapes_of(SD15), SD15)
    up, down = torch.ones(32, 2), torch.ones(2, 32)
    parsed = parse_lora(
        {
            f"{name}.lora_{part}.weight": factor
            for name in (
                "lora_unet_input_blocks_1_1_transformer_blocks_0_attn1_to_q",
                "lora_unet_input_blocks_1_1_transformer_blocks_0_attn2_to_k",
                "lora_unet_input_blocks_99_1_proj_in",
                "lora_te2_text_model_encoder_layers_0_mlp_fc1",
            )
            for part, factor in (("up", up), ("down", down))
        }
    )
    matched = match(parsed, {"unet": layers})
    assert list(matched.patches["unet"]) == ["input_blocks.1.1.transformer_blocks.0.attn1.to_q.weight"]
    assert matched.misfits == ["lora_unet_input_blocks_1_1_transformer_blocks_0_attn2_to_k"]
    assert matched.unmatched == ["lora_unet_input_blocks_99_1_proj_in"]
    assert matched.elsewhere == ["lora_te2_text_model_encoder_layers_0_mlp_fc1"]
