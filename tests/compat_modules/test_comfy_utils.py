from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from comfykit.compat import runtime
from comfykit.compat.host.comfy import utils
from comfykit.errors import Interrupted, ModelFileError
from comfykit.events import Event, NodeProgress


def test_safetensors_there_and_back(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    utils.save_torch_file({"x": torch.arange(6.0).reshape(2, 3).t()}, str(path), {"about": "it"})
    tensors, metadata = utils.load_torch_file(str(path), return_metadata=True)
    assert torch.equal(tensors["x"], torch.arange(6.0).reshape(2, 3).t())
    assert metadata == {"about": "it"}
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.safetensors"]
    header = utils.safetensors_header(path)
    assert header is not None
    assert b'"about"' in header
    assert utils.safetensors_header(path, max_size=3) is None


def test_pickles_are_taken_out_of_what_training_code_wraps_them_in(tmp_path: Path) -> None:
    weights = {"w": torch.ones(2)}
    for content in (weights, {"state_dict": weights, "epoch": 3}, {"params": weights}):
        torch.save(content, tmp_path / "a.pt")
        assert list(utils.load_torch_file(tmp_path / "a.pt")) == ["w"]
    torch.save({"model": weights, "step": 4}, tmp_path / "a.pt")
    assert utils.load_torch_file(tmp_path / "a.pt", safe_load=False)["step"] == 4


def test_pickles_run_no_code(tmp_path: Path) -> None:
    torch.save({"net": nn.Linear(1, 1)}, tmp_path / "a.pt")
    with pytest.raises(ModelFileError, match="holds more than tensors"):
        utils.load_torch_file(tmp_path / "a.pt", safe_load=False)


def test_dictionaries_of_tensors() -> None:
    tensors = {"a.x": torch.zeros(3), "a.y": torch.zeros(2).half(), "b.z": torch.zeros(7).half()}
    assert utils.calculate_parameters(tensors, "a.") == 5
    assert utils.weight_dtype(tensors) is torch.float16
    assert utils.weight_dtype(tensors, "a.") is torch.float32
    assert utils.weight_dtype(tensors, "none") is None
    taken = utils.state_dict_prefix_replace(dict(tensors), {"a.": "c."}, filter_keys=True)
    assert sorted(taken) == ["c.x", "c.y"]
    assert sorted(utils.state_dict_prefix_replace(dict(tensors), {"a.": ""})) == ["b.z", "x", "y"]
    assert sorted(utils.state_dict_key_replace(dict(tensors), {"a.x": "w"})) == ["a.y", "b.z", "w"]


def test_names_of_diffusers() -> None:
    config = {
        "num_res_blocks": [1, 2],
        "channel_mult": (1, 2),
        "transformer_depth": [0, 1, 1],
        "transformer_depth_output": [0, 0, 1, 1, 1],
        "transformer_depth_middle": 1,
    }
    names = utils.unet_to_diffusers(config)
    assert names["down_blocks.1.attentions.1.transformer_blocks.0.attn1.to_q.weight"] == (
        "input_blocks.4.1.transformer_blocks.0.attn1.to_q.weight"
    )
    assert names["up_blocks.0.upsamplers.0.conv.bias"] == "output_blocks.2.2.conv.bias"
    assert names["up_blocks.1.resnets.0.conv_shortcut.weight"] == "output_blocks.3.0.skip_connection.weight"
    assert names["mid_block.resnets.1.norm1.bias"] == "middle_block.2.in_layers.0.bias"
    assert names["conv_in.weight"] == "input_blocks.0.0.weight"
    assert utils.unet_to_diffusers({"hidden_size": 3}) == {}


def test_attributes_along_a_path() -> None:
    module = nn.Sequential(nn.Linear(2, 2))
    before = utils.set_attr_param(module, "0.weight", torch.ones(2, 2))
    assert torch.equal(utils.get_attr(module, "0.weight"), torch.ones(2, 2))
    utils.copy_to_param(module, "0.weight", before.detach())
    assert torch.equal(module[0].weight, before)
    assert utils.set_attr(module, "extra", 3) is utils.ATTR_UNSET
    assert utils.set_attr(module, "extra", utils.ATTR_UNSET) == 3
    assert not hasattr(module, "extra")


def test_batches() -> None:
    rows = torch.arange(3)[:, None]
    assert utils.repeat_to_batch_size(rows, 5)[:, 0].tolist() == [0, 1, 2, 0, 1]
    assert utils.repeat_to_batch_size(rows, 2)[:, 0].tolist() == [0, 1]
    assert utils.resize_to_batch_size(rows, 2)[:, 0].tolist() == [0, 2]
    assert utils.resize_to_batch_size(rows, 6)[:, 0].tolist() == [0, 0, 1, 1, 2, 2]


def test_masks_are_fitted_to_latents() -> None:
    mask = torch.ones(1, 8, 8)
    assert utils.reshape_mask(mask, (2, 4, 4, 4)).shape == (2, 4, 4, 4)
    assert utils.reshape_mask(mask, (1, 16, 3, 4, 4)).shape == (1, 16, 3, 4, 4)


def test_videos_are_resized_frame_by_frame() -> None:
    video = torch.rand(2, 3, 5, 8, 8)
    resized = utils.common_upscale(video, 4, 6, "bilinear", "disabled")
    assert resized.shape == (2, 3, 5, 6, 4)
    alone = utils.common_upscale(video[:, :, 3], 4, 6, "bilinear", "disabled")
    assert torch.equal(resized[:, :, 3], alone)


@pytest.mark.parametrize("size", [(5, 9), (20, 33)])
def test_tiles_give_what_the_whole_gives(size: tuple[int, int]) -> None:
    picture = torch.rand(2, 3, *size)

    def double(part: Tensor) -> Tensor:
        return F.interpolate(part, scale_factor=2, mode="nearest") * 3

    found = utils.tiled_scale(picture, double, tile_x=8, tile_y=8, overlap=2, upscale_amount=2)
    assert torch.allclose(found, double(picture), atol=1e-5)


def test_tiles_of_videos_may_scale_each_dimension() -> None:
    video = torch.rand(1, 2, 6, 12, 12)
    found = utils.tiled_scale_multidim(
        video,
        lambda part: F.interpolate(part, scale_factor=(1, 2, 2), mode="nearest"),
        tile=(4, 8, 8),
        overlap=(1, 2, 2),
        upscale_amount=(1, 2, 2),
    )
    assert torch.allclose(found, F.interpolate(video, scale_factor=(1, 2, 2), mode="nearest"), atol=1e-5)


def test_tiles_are_counted() -> None:
    calls: list[int] = []

    class Bar:
        def update(self, value: int) -> None:
            calls.append(value)

    utils.tiled_scale(
        torch.zeros(1, 1, 20, 33),
        lambda part: part,
        8,
        8,
        2,
        upscale_amount=1,
        pbar=Bar(),  # type: ignore[arg-type]
    )
    assert len(calls) == utils.get_tiled_scale_steps(33, 20, 8, 8, 2)


def test_progress_is_told(events: list[Event]) -> None:
    bar = utils.ProgressBar(3)
    bar.update(1)
    bar.update_absolute(5, 4)
    utils.ProgressBar(2, node_id="9.0.1").update(1)
    assert events == [NodeProgress("7", 1, 3), NodeProgress("7", 4, 4), NodeProgress("9.0.1", 1, 2)]


def test_progress_stops_where_a_pack_asked_for_it(events: list[Event]) -> None:
    runtime.interrupt()
    with pytest.raises(Interrupted):
        utils.ProgressBar(3).update(1)
    utils.ProgressBar(3).update(1)


def test_progress_outside_of_nodes_is_nobodys(settings: object) -> None:
    bar = utils.ProgressBar(3)
    bar.update(2)
    assert bar.current == 2
