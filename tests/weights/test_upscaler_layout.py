from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from comfykit.errors import ModelFileError
from comfykit.models.esrgan import RRDBNet, RRDBNetConfig
from comfykit.weights.upscaler_layout import esrgan_names, esrgan_tensors, rrdbnet_config


def names_of(config: RRDBNetConfig) -> dict[str, tuple[int, ...]]:
    with torch.device("meta"):
        return {name: tuple(tensor.shape) for name, tensor in RRDBNet(config).state_dict().items()}


def first_release(name: str, doublings: int) -> str:
    """The name that ESRGAN's first release has for a tensor."""
    place = 3 * doublings + 2
    part, _, rest = name.partition(".")
    if part == "body":
        block, dense, conv, kind = rest.split(".")
        return f"model.1.sub.{block}.{dense.upper()}.{conv}.0.{kind}"
    numbers = {"conv_first": 0, "conv_hr": place, "conv_last": place + 2}
    numbers |= {f"conv_up{number}": 3 * number for number in range(1, doublings + 1)}
    return f"model.1.sub.99.{rest}" if part == "conv_body" else f"model.{numbers[part]}.{rest}"


def second_release(name: str) -> str:
    for new, old in (
        ("body.", "RRDB_trunk."),
        ("conv_body", "trunk_conv"),
        ("conv_up", "upconv"),
        ("conv_hr", "HRconv"),
    ):
        if name.startswith(new):
            name = old + name.removeprefix(new)
    return name.replace(".rdb", ".RDB")


@pytest.mark.parametrize("doublings", [0, 1, 2, 3])
def test_names_of_the_first_release(doublings: int) -> None:
    shapes = names_of(RRDBNetConfig(blocks=12, doublings=doublings))
    old = [first_release(name, doublings) for name in shapes]
    assert list(esrgan_names(old).values()) == list(shapes)


def test_names_of_the_second_release_and_the_last() -> None:
    shapes = names_of(RRDBNetConfig(blocks=2))
    assert list(esrgan_names(second_release(name) for name in shapes).values()) == list(shapes)
    assert list(esrgan_names(shapes).values()) == list(shapes)


@pytest.mark.parametrize(
    "config",
    [
        RRDBNetConfig(),
        RRDBNetConfig(blocks=6),  # RealESRGAN_x4plus_anime_6B
        RRDBNetConfig(blocks=2, unshuffle=2),  # RealESRGAN_x2plus
        RRDBNetConfig(width=16, growth=8, blocks=1, doublings=0),
        RRDBNetConfig(in_channels=1, out_channels=1, blocks=1, unshuffle=4),
    ],
)
def test_the_shape_is_read(config: RRDBNetConfig) -> None:
    assert rrdbnet_config(names_of(config)) == config


@pytest.mark.parametrize("name", ["tiny_esrgan_x4", "tiny_esrgan_old_x4"])
def test_generated_files(shared: Path, name: str) -> None:
    shapes = json.loads((shared / "synth" / "families" / f"{name}.json").read_text())
    tensors = esrgan_tensors({key: torch.empty(shape, device="meta") for key, shape in shapes.items()})
    config = rrdbnet_config({key: tuple(tensor.shape) for key, tensor in tensors.items()})
    assert config == RRDBNetConfig(width=16, growth=32, blocks=2)


@pytest.mark.parametrize(
    ("names", "called"),
    [
        (["conv_first.weight", "layers.0.residual_group.blocks.0.norm1.weight"], "SwinIR"),
        (["body.0.weight", "body.1.weight"], "SRVGGNet"),
        (["conv_first.weight", "something.else"], "unknown network: conv_first.weight"),
    ],
)
def test_other_networks_are_named(names: list[str], called: str) -> None:
    with pytest.raises(ModelFileError, match=called) as caught:
        rrdbnet_config(dict.fromkeys(names, (3, 3, 3, 3)))
    assert "ESRGAN" in str(caught.value.hint)


def test_channels_that_cannot_be_folded_pixels() -> None:
    shapes = {**names_of(RRDBNetConfig(blocks=1)), "conv_first.weight": (64, 5, 3, 3)}
    with pytest.raises(ModelFileError, match="makes 3 channels of 5"):
        rrdbnet_config(shapes)
