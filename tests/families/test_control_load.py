from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from comfykit.errors import ModelFileError
from comfykit.families.control_load import load_control
from comfykit.families.load import Checkpoint
from comfykit.models.controlnet import ControlNet, ControlNetConfig
from comfykit.models.t2i_adapter import T2IAdapter, T2IAdapterConfig
from comfykit.weights.control_lora import ControlLora

HINT_WIDTHS = (4, 4, 8, 8, 8, 8, 16)


@pytest.fixture
def tensors(checkpoint: Checkpoint) -> dict[str, Tensor]:
    with torch.inference_mode(False):
        network = ControlNet(ControlNetConfig(checkpoint.model.network.config, hint_widths=HINT_WIDTHS))
        return {f"control_model.{name}": tensor for name, tensor in network.state_dict().items()}


def written(path: Path, tensors: dict[str, Tensor]) -> Path:
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path)
    return path


def test_a_controlnet_has_the_weights_of_its_file(tmp_path: Path, tensors: dict[str, Tensor]) -> None:
    found = load_control(written(tmp_path / "canny.safetensors", tensors))
    assert (found.name, found.pooled, found.kind) == ("canny.safetensors", False, None)
    assert isinstance(found.network, ControlNet)
    for name, tensor in found.network.state_dict().items():
        assert torch.equal(tensor, tensors[f"control_model.{name}"])


@pytest.mark.parametrize(
    ("name", "pooled"), [("sd15_shuffle", True), ("x_shuffle_fp16", True), ("shuffled", False)]
)
def test_the_name_says_whether_residuals_are_pooled(
    tmp_path: Path, tensors: dict[str, Tensor], name: str, pooled: bool
) -> None:
    assert load_control(written(tmp_path / f"{name}.safetensors", tensors)).pooled is pooled


def test_differences_are_added_to_the_model(
    tmp_path: Path, tensors: dict[str, Tensor], checkpoint: Checkpoint
) -> None:
    halves = {name: tensor.half() for name, tensor in tensors.items()}
    path = written(tmp_path / "diff.safetensors", {**halves, "difference": torch.zeros(0)})
    own = dict(checkpoint.model.network.named_parameters())
    network = load_control(path, own).network
    assert isinstance(network, ControlNet)
    shared, alone = "input_blocks.1.0.in_layers.2.weight", "zero_convs.0.0.weight"
    expected = halves[f"control_model.{shared}"] + own[shared].half()
    torch.testing.assert_close(network.get_parameter(shared).data, expected)
    assert torch.equal(network.get_parameter(alone).data, halves[f"control_model.{alone}"])
    with pytest.raises(ModelFileError, match="differences to the weights of a model") as caught:
        load_control(path)
    assert "DiffControlNetLoader" in str(caught.value.hint)
    with pytest.raises(ModelFileError, match="of another shape"):
        load_control(path, {**own, shared: torch.zeros(1)})


def test_a_file_without_differences_needs_no_model(
    tmp_path: Path, tensors: dict[str, Tensor], checkpoint: Checkpoint
) -> None:
    path = written(tmp_path / "canny.safetensors", tensors)
    network = load_control(path, dict(checkpoint.model.network.named_parameters())).network
    assert isinstance(network, ControlNet)
    name = "input_blocks.0.0.weight"
    assert torch.equal(network.get_parameter(name), tensors[f"control_model.{name}"])


def test_a_control_lora_waits_for_its_model(tmp_path: Path, checkpoint: Checkpoint) -> None:
    network = ControlNet(ControlNetConfig(checkpoint.model.network.config, hint_widths=HINT_WIDTHS))
    own = ("input_hint_block.", "zero_convs.", "middle_block_out.")
    tensors = {name: tensor for name, tensor in network.state_dict().items() if name.startswith(own)}
    width = checkpoint.model.network.config.model_channels
    tensors |= {"time_embed.0.up": torch.ones(4 * width, 2), "time_embed.0.down": torch.ones(2, width)}
    found = load_control(
        written(tmp_path / "lora.safetensors", {**tensors, "lora_controlnet": torch.zeros(0)})
    )
    assert isinstance(found.network, ControlLora)
    assert found.with_kind(2).kind is None
    made = found.network_for(checkpoint.model.network)
    assert torch.equal(made.get_parameter("time_embed.0.up"), tensors["time_embed.0.up"])


def test_files_of_other_things_are_named(tmp_path: Path, checkpoint_path: Path) -> None:
    with pytest.raises(ModelFileError, match="this is a checkpoint, not a ControlNet"):
        load_control(checkpoint_path)
    other = written(tmp_path / "flux.safetensors", {"controlnet_blocks.0.weight": torch.zeros(1)})
    with pytest.raises(ModelFileError, match=r"flux\.safetensors: this is a ControlNet for SD3 or Flux"):
        load_control(other)
    odd = written(tmp_path / "adapter.safetensors", {"body.0.block1.weight": torch.zeros(1)})
    with pytest.raises(ModelFileError, match=r"adapter\.safetensors: the T2I-Adapter has a layout"):
        load_control(odd)


def test_adapters_are_loaded_too(tmp_path: Path) -> None:
    config = T2IAdapterConfig(channels=(8, 8, 16, 16), light=True, blocks=1)
    path = written(tmp_path / "canny.safetensors", dict(T2IAdapter(config).state_dict()))
    network = load_control(path).network
    assert isinstance(network, T2IAdapter)
    assert network.config == config


def test_a_broken_file_is_named(tmp_path: Path, tensors: dict[str, Tensor]) -> None:
    del tensors["control_model.zero_convs.3.0.weight"]
    with pytest.raises(ModelFileError, match=r"canny\.safetensors.*1 missing \(zero_convs\.3\.0\.weight\)"):
        load_control(written(tmp_path / "canny.safetensors", tensors))
