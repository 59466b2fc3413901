from __future__ import annotations

import pytest
import torch
from torch import Tensor

from comfykit.errors import ModelFileError
from comfykit.models.controlnet import ControlNet, ControlNetConfig
from comfykit.models.controlnet_union import UnionConfig
from comfykit.models.unet import UNetConfig
from comfykit.weights.controlnet_layout import control_tensors, controlnet_config, low_rank_layers
from comfykit.weights.diffusers_names import checkpoint_names, diffusers_names
from comfykit.weights.kinds import kind_of

SD15 = UNetConfig(model_channels=32, context_dim=24, output_depths=())
SDXL = UNetConfig(
    model_channels=64,
    channel_mult=(1, 2, 4),
    num_res_blocks=(2, 2, 2),
    input_depths=(0, 0, 2, 2, 10, 10),
    middle_depth=10,
    output_depths=(),
    context_dim=24,
    adm_in_channels=100,
    use_linear=True,
)
CONFIGS = {
    "sd15": ControlNetConfig(SD15),
    "other hints": ControlNetConfig(SD15, hint_channels=4, hint_widths=(8, 8, 16, 16, 24, 24, 32)),
    "sdxl": ControlNetConfig(SDXL),
    "union": ControlNetConfig(SDXL, union=UnionConfig(8, 16, 2)),
}
# Layers that only ControlNets have, in diffusers.
OWN = {
    "middle_block_out.0": "controlnet_mid_block",
    "input_hint_block.0": "controlnet_cond_embedding.conv_in",
    **{f"input_hint_block.{2 * i + 2}": f"controlnet_cond_embedding.blocks.{i}" for i in range(6)},
    "input_hint_block.14": "controlnet_cond_embedding.conv_out",
    **{f"zero_convs.{i}.0": f"controlnet_down_blocks.{i}" for i in range(12)},
}


def tensors_of(config: ControlNetConfig) -> dict[str, Tensor]:
    with torch.device("meta"):
        return dict(ControlNet(config).state_dict())


def as_diffusers_has_them(tensors: dict[str, Tensor], encoder: UNetConfig) -> dict[str, Tensor]:
    blocks = sum(encoder.num_res_blocks) + len(encoder.num_res_blocks)
    config = UNetConfig(num_res_blocks=encoder.num_res_blocks, output_depths=(0,) * blocks)
    layers = [name.rpartition(".")[0] for name in tensors]
    names = {**diffusers_names(layers, config), **OWN}
    assert all(
        theirs in checkpoint_names([theirs], config) for theirs in diffusers_names(layers, config).values()
    )
    return {
        f"{names.get(layer, layer)}.{name.rpartition('.')[2]}".lstrip("."): tensors[name]
        for name, layer in zip(tensors, layers, strict=True)
    }


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("layout", ["bare", "with a prefix", "diffusers"])
def test_every_layout_is_the_same_network(name: str, layout: str) -> None:
    config = CONFIGS[name]
    expected = tensors_of(config)
    given = expected
    if layout == "with a prefix":
        given = {f"control_model.{key}": tensor for key, tensor in expected.items()}
    if layout == "diffusers":
        given = as_diffusers_has_them(expected, config.encoder)
        assert given.keys() != expected.keys()
    assert kind_of(given) == "controlnet"
    found = control_tensors(given)
    assert found.keys() == expected.keys()
    assert all(found[key] is expected[key] for key in expected)
    assert controlnet_config({key: tuple(tensor.shape) for key, tensor in found.items()}) == config


def test_a_checkpoint_with_a_controlnet_in_it_gives_that() -> None:
    tensors = {"control_model.x": torch.zeros(1), "model.diffusion_model.x": torch.zeros(2)}
    assert list(control_tensors(tensors)) == ["x"]


def test_markers_are_no_weights() -> None:
    tensors = {
        "lora_controlnet": torch.zeros(0),
        "difference": torch.zeros(0),
        "zero_convs.0.0.bias": torch.zeros(1),
    }
    assert list(control_tensors(tensors)) == ["zero_convs.0.0.bias"]


@pytest.mark.parametrize(
    ("name", "called"),
    [
        ("controlnet_blocks.0.weight", "SD3 or Flux"),
        ("lllite_unet_input_blocks_4.depth", "LLLite"),
    ],
)
def test_what_is_none_is_named(name: str, called: str) -> None:
    with pytest.raises(ModelFileError, match=called):
        control_tensors({name: torch.zeros(1)})


def test_a_layer_that_is_missing_is_named() -> None:
    shapes = {key: tuple(tensor.shape) for key, tensor in tensors_of(CONFIGS["sd15"]).items()}
    del shapes["input_hint_block.6.weight"]
    with pytest.raises(ModelFileError, match=r"input_hint_block\.6\.weight"):
        controlnet_config(shapes)


def test_low_rank_layers_have_both_factors() -> None:
    assert low_rank_layers(["a.0.up", "a.0.down", "b.up", "c.down", "up.weight"]) == ["a.0"]
