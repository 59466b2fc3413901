"""Text encoders from files of their own; `test_load` has those of checkpoints."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from comfykit.errors import ModelFileError, UsageError
from comfykit.families.load_text import load_text_encoder
from comfykit.memory import Residency
from comfykit.models.clip_text import ClipText, ClipTextConfig
from comfykit.text.clip import ClipEncoder
from comfykit.text.encoders import ClipEncoders
from comfykit.text.open_clip import to_open_clip


def tensors(layers: int, width: int = 64) -> dict[str, Tensor]:
    with torch.inference_mode(False):
        torch.manual_seed(0)
        config = ClipTextConfig(width, 1, layers, 8, 49408, 77, projection=16)
        return {name: tensor.half() for name, tensor in ClipText(config).state_dict().items()}


def in_transformers(own: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name if "projection.w" in name else f"text_model.{name}": tensor for name, tensor in own.items()}


def in_open_clip(own: dict[str, Tensor]) -> dict[str, Tensor]:
    def made(parts: tuple[str, ...], *, transposed: bool) -> Tensor:
        joined = torch.cat([own[part] for part in parts])
        return (joined.T if transposed else joined).contiguous()

    return {name: made(one.parts, transposed=one.transposed) for name, one in to_open_clip(own).items()}


def write(path: Path, content: dict[str, Tensor]) -> Path:
    save_file(content, path)
    return path


def encoders(paths: list[Path], kind: str) -> tuple[ClipEncoder, ...]:
    found = load_text_encoder(paths, kind).encoder
    assert isinstance(found, ClipEncoders)
    return found.encoders


@pytest.mark.parametrize(
    ("layers", "slot", "layer", "normed", "pad", "activation"),
    [
        (3, "clip_l", -1, True, 49407, "quick_gelu"),
        (12, "clip_l", -1, True, 49407, "quick_gelu"),
        (23, "clip_h", -1, True, 0, "gelu"),
        (24, "clip_h", -2, True, 0, "gelu"),
        (32, "clip_g", -2, False, 0, "gelu"),
    ],
)
def test_the_depth_tells_which_clip_it_is(
    tmp_path: Path, layers: int, slot: str, layer: int, normed: bool, pad: int, activation: str
) -> None:
    path = write(tmp_path / "clip.safetensors", in_transformers(tensors(layers)))
    (encoder,) = encoders([path], "stable_diffusion")
    assert (encoder.slot, encoder.layer, encoder.normed, encoder.tokenizer.pad) == (slot, layer, normed, pad)
    config = encoder.network.config
    assert (config.activation, config.layers) == (activation, layers)
    assert config.projection == (None if slot == "clip_l" else 16)


def test_both_layouts_are_one_encoder(tmp_path: Path, residency: Residency) -> None:
    own = tensors(24)
    paths = (
        write(tmp_path / "a.safetensors", in_transformers(own)),
        write(tmp_path / "b.safetensors", in_open_clip(own)),
    )
    one, other = (load_text_encoder([path], "stable_diffusion").encode("a fox", residency) for path in paths)
    assert torch.equal(one.embedding, other.embedding)
    torch.testing.assert_close(one.pooled, other.pooled)  # the projection is laid out otherwise


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("layout", [in_transformers, in_open_clip])
def test_the_two_of_sdxl_come_in_any_order(tmp_path: Path, turned: bool, layout: object) -> None:
    small = write(tmp_path / "l.safetensors", in_transformers(tensors(2)))
    big = write(tmp_path / "g.safetensors", layout(tensors(3, 128)))  # type: ignore[operator]
    first, second = encoders([big, small] if turned else [small, big], "sdxl")
    assert (first.slot, first.width, first.layer, first.normed) == ("clip_l", 64, -2, False)
    assert (second.slot, second.width, second.network.config.projection) == ("clip_g", 128, 16)


def test_it_may_stay_on_the_cpu(tmp_path: Path) -> None:
    path = write(tmp_path / "clip.safetensors", in_transformers(tensors(2)))
    assert load_text_encoder([path], "stable_diffusion", torch.device("cpu")).device == torch.device("cpu")


def test_what_cannot_be_used_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "t5.safetensors", {"encoder.block.0.layer.0.layer_norm.weight": torch.ones(4)})
    with pytest.raises(UsageError, match="type sd3 are for models that comfykit does not run yet"):
        load_text_encoder([path], "sd3")
    with pytest.raises(ModelFileError, match="no CLIP text encoder"):
        load_text_encoder([path], "stable_diffusion")
    with pytest.raises(ModelFileError, match="CLIP-L and OpenCLIP-bigG; found: t5"):
        load_text_encoder([path], "sdxl")
