from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from comfykit.errors import ModelFileError
from comfykit.families import upscalers
from comfykit.families.upscalers import Upscaler, compute_dtype, load_upscaler
from comfykit.memory import Residency
from comfykit.models.esrgan import RRDBNet, RRDBNetConfig

CONFIG = RRDBNetConfig(width=8, growth=4, blocks=1, doublings=1)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    path = tmp_path / "x2.safetensors"
    save_file(RRDBNet(CONFIG).half().state_dict(), path)
    return path


@pytest.fixture
def residency() -> Residency:
    return Residency("cpu", "fp32")


@torch.inference_mode()
def test_upscale(file: Path, residency: Residency) -> None:
    upscaler = load_upscaler(file)
    assert upscaler.scale == 2
    told: list[tuple[int, int]] = []
    pixels = torch.rand(2, 9, 13, 4)
    made = upscaler.upscale(pixels, residency, lambda done, total: told.append((done, total)))
    assert (made.shape, made.dtype) == ((2, 18, 26, 3), torch.float32)
    assert told == [(1, 2), (2, 2)]
    expected = upscaler.network(pixels[..., :3].movedim(-1, 1)).clamp(0, 1).movedim(1, -1)
    torch.testing.assert_close(made, expected)


@torch.inference_mode()
def test_tiles_become_smaller_until_they_fit(
    file: Path, residency: Residency, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upscalers, "TILE", 32)
    monkeypatch.setattr(upscalers, "OVERLAP", 4)
    monkeypatch.setattr(upscalers, "LEAST_TILE", 8)
    upscaler = load_upscaler(file)
    whole = upscaler.upscale(pixels := torch.rand(1, 30, 30, 3), residency, lambda done, total: None)
    sizes: list[int] = []
    forward = upscaler.network.forward

    def small(x: torch.Tensor) -> torch.Tensor:
        sizes.append(max(x.shape[-2:]))
        if sizes[-1] > 16:
            raise torch.OutOfMemoryError
        return forward(x)

    monkeypatch.setattr(upscaler.network, "forward", small)
    made = upscaler.upscale(pixels, residency, lambda done, total: None)
    assert sizes[:2] == [30, 16]
    assert (made - whole).abs().mean() < 0.01


def test_no_tile_fits(file: Path, residency: Residency, monkeypatch: pytest.MonkeyPatch) -> None:
    upscaler = load_upscaler(file)

    def never(x: torch.Tensor) -> torch.Tensor:
        raise torch.OutOfMemoryError

    monkeypatch.setattr(upscaler.network, "forward", never)
    with pytest.raises(torch.OutOfMemoryError):
        upscaler.upscale(torch.rand(1, 4, 4, 3), residency, lambda done, total: None)


def test_a_pickle_with_nested_tensors_loads(tmp_path: Path) -> None:
    path = tmp_path / "x2.pth"
    torch.save({"params_ema": RRDBNet(CONFIG).state_dict()}, path)
    assert isinstance(load_upscaler(path), Upscaler)


def test_files_that_are_none(tmp_path: Path) -> None:
    other = tmp_path / "lora.safetensors"
    save_file({"lora_unet_x.lora_up.weight": torch.zeros(1)}, other)
    with pytest.raises(ModelFileError, match="this is a LoRA, not an upscaler") as caught:
        load_upscaler(other)
    assert caught.value.facts["path"] == str(other)
    swin = tmp_path / "swin.safetensors"
    save_file({"layers.0.residual_group.blocks.0.norm1.weight": torch.zeros(1)}, swin)
    with pytest.raises(ModelFileError, match="SwinIR"):
        load_upscaler(swin)
    grey = tmp_path / "grey.safetensors"
    save_file(RRDBNet(RRDBNetConfig(1, 1, 8, 4, 1)).state_dict(), grey)
    with pytest.raises(ModelFileError, match="pictures of 1 channels"):
        load_upscaler(grey)


def test_types(residency: Residency) -> None:
    assert compute_dtype(residency) is torch.float32
    assert compute_dtype(Residency("cpu", "bf16")) is torch.float32
