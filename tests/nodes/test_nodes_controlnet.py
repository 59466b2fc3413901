from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from nodes_support import Run, settings_at
from safetensors.torch import save_file

from comfykit.families.control import Control, ControlModel
from comfykit.home import Home
from comfykit.models.controlnet import ControlNet, ControlNetConfig
from comfykit.models.controlnet_union import UnionConfig
from comfykit.models.unet import UNet, UNetConfig
from comfykit.nodes.controlnet import (
    UNION_TYPES,
    control_net_apply,
    control_net_apply_advanced,
    control_net_apply_sd3,
    control_net_loader,
    diff_control_net_loader,
    set_union_control_net_type,
)

SMALL = UNetConfig(
    model_channels=32,
    channel_mult=(1,),
    num_res_blocks=(1,),
    input_depths=(1,),
    output_depths=(),
    context_dim=8,
)
IMAGE = torch.rand(1, 16, 24, 3)


@pytest.fixture
def net() -> ControlModel:
    return ControlModel("net.safetensors", ControlNet(ControlNetConfig(SMALL)))


def side(name: str) -> list[list[Any]]:
    return [[name, {"strength": 0.5}], [name * 2, {}]]


def controls(conditioning: list[list[Any]]) -> list[tuple[Control, ...]]:
    return [options.get("controls", ()) for _, options in conditioning]


def test_the_old_node_is_meant_for_the_negative_side_too(net: ControlModel) -> None:
    given = side("a")
    found = control_net_apply(given, net, IMAGE, 0.9)
    (first,), (second,) = controls(found)
    assert first is second
    assert (first.model, first.strength, first.start_percent, first.end_percent) == (net, 0.9, 0.0, 1.0)
    assert torch.equal(first.hint, IMAGE.movedim(-1, 1))
    assert found[0][0] == "a"
    assert found[0][1]["strength"] == 0.5
    assert found[0][1]["control_apply_to_uncond"] is True
    assert controls(given) == [(), ()]


def test_the_new_node_gives_both_sides_one_control(net: ControlModel) -> None:
    found = control_net_apply_advanced(side("a"), side("b"), net, IMAGE, 0.5, 0.1, 0.7)
    (control,) = {one for both in found for entry in controls(both) for one in entry}
    assert (control.strength, control.start_percent, control.end_percent) == (0.5, 0.1, 0.7)
    assert all(options["control_apply_to_uncond"] is False for both in found for _, options in both)


def test_nodes_can_be_chained(net: ControlModel) -> None:
    other = replace(net, name="other.safetensors")
    once = control_net_apply(side("a"), net, IMAGE, 1.0)
    (positive, negative) = control_net_apply_advanced(once, side("b"), other, IMAGE, 1.0, 0.0, 1.0)
    assert [[one.model.name for one in entry] for entry in controls(positive)] == [
        ["net.safetensors", "other.safetensors"]
    ] * 2
    assert [[one.model.name for one in entry] for entry in controls(negative)] == [["other.safetensors"]] * 2


def test_no_strength_changes_nothing(net: ControlModel) -> None:
    positive, negative = side("a"), side("b")
    assert control_net_apply(positive, net, IMAGE, 0.0) is positive
    assert control_net_apply_advanced(positive, negative, net, IMAGE, 0.0, 0.0, 1.0) == (positive, negative)


def test_the_node_with_a_vae_does_the_same(net: ControlModel) -> None:
    vae: Any = object()
    found = control_net_apply_sd3(side("a"), side("b"), net, vae, IMAGE, 0.5, 0.1, 0.7)
    assert [entry[0].strength for both in found for entry in controls(both)] == [0.5] * 4


def test_types_of_hints_are_numbered_after_auto() -> None:
    union = ControlNet(ControlNetConfig(SMALL, union=UnionConfig(8, 4, 1)))
    net = ControlModel("union.safetensors", union)
    kinds = [set_union_control_net_type(net, kind).kind for kind in UNION_TYPES]
    assert kinds == [None, *range(8)]


def test_a_network_is_found_in_its_folders(tmp_path: Path) -> None:
    network = ControlNet(ControlNetConfig(SMALL))
    folder = tmp_path / "models" / "controlnet" / "sd15"
    folder.mkdir(parents=True)
    save_file(network.state_dict(), folder / "canny.safetensors")
    run = Run(replace(settings_at(tmp_path), home=Home(tmp_path)))
    found = control_net_loader(run.context, "sd15/canny.safetensors")
    assert found.name == "canny.safetensors"
    assert isinstance(found.network, ControlNet)
    assert found.network.config == SMALL


def test_differences_are_loaded_with_the_model_s_weights(tmp_path: Path) -> None:
    network = ControlNet(ControlNetConfig(SMALL))
    tensors = {f"control_model.{name}": tensor for name, tensor in network.state_dict().items()}
    folder = tmp_path / "models" / "controlnet"
    folder.mkdir(parents=True)
    save_file({**tensors, "difference": torch.zeros(0)}, folder / "diff.safetensors")
    run = Run(replace(settings_at(tmp_path), home=Home(tmp_path)))
    model: Any = SimpleNamespace(network=UNet(replace(SMALL, output_depths=(1, 1))))
    found = diff_control_net_loader(run.context, model, "diff.safetensors").network
    assert isinstance(found, ControlNet)
    name = "time_embed.0.bias"
    torch.testing.assert_close(
        found.get_parameter(name).data,
        network.get_parameter(name).data + model.network.get_parameter(name).data,
    )
