from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor

from comfykit.errors import ModelFileError
from comfykit.models.clip_vision import ClipVision, ClipVisionConfig
from comfykit.weights.clip_vision_layout import clip_vision_config, from_open_clip

SMALL = ClipVisionConfig(width=64, heads=1, layers=2, mlp_width=96, size=28, patch=14, projection=20)


def named(config: ClipVisionConfig) -> dict[str, Tensor]:
    torch.manual_seed(0)
    return {name: torch.randn_like(tensor) for name, tensor in ClipVision(config).state_dict().items()}


def in_open_clip(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same encoder as OpenCLIP keeps it, written out name by name."""
    found = {
        "class_embedding": tensors["vision_model.embeddings.class_embedding"],
        "positional_embedding": tensors["vision_model.embeddings.position_embedding.weight"],
        "conv1.weight": tensors["vision_model.embeddings.patch_embedding.weight"],
        "proj": tensors["visual_projection.weight"].T,
    }
    for kind in ("weight", "bias"):
        found[f"ln_pre.{kind}"] = tensors[f"vision_model.pre_layrnorm.{kind}"]
        found[f"ln_post.{kind}"] = tensors[f"vision_model.post_layernorm.{kind}"]
        for layer in range(2):
            ours, theirs = f"vision_model.encoder.layers.{layer}", f"transformer.resblocks.{layer}"
            qkv = [tensors[f"{ours}.self_attn.{part}_proj.{kind}"] for part in "qkv"]
            found[f"{theirs}.attn.in_proj_{kind}"] = torch.cat(qkv)
            found[f"{theirs}.attn.out_proj.{kind}"] = tensors[f"{ours}.self_attn.out_proj.{kind}"]
            found[f"{theirs}.ln_1.{kind}"] = tensors[f"{ours}.layer_norm1.{kind}"]
            found[f"{theirs}.ln_2.{kind}"] = tensors[f"{ours}.layer_norm2.{kind}"]
            found[f"{theirs}.mlp.c_fc.{kind}"] = tensors[f"{ours}.mlp.fc1.{kind}"]
            found[f"{theirs}.mlp.c_proj.{kind}"] = tensors[f"{ours}.mlp.fc2.{kind}"]
    return found


def test_open_clip_to_transformers() -> None:
    tensors = named(SMALL)
    found = from_open_clip({**in_open_clip(tensors), "attn_pool.query": torch.zeros(1)})
    assert found.keys() == tensors.keys()
    assert all(torch.equal(found[name], tensors[name]) for name in tensors)


def test_nothing_is_copied() -> None:
    given = in_open_clip(named(SMALL))
    memory = {tensor.untyped_storage().data_ptr() for tensor in given.values()}
    assert {tensor.untyped_storage().data_ptr() for tensor in from_open_clip(given).values()} == memory


def test_the_shape_is_read_from_the_tensors() -> None:
    assert clip_vision_config(shapes(SMALL)) == SMALL


def shapes(config: ClipVisionConfig) -> dict[str, tuple[int, ...]]:
    with torch.device("meta"):
        return {name: tuple(tensor.shape) for name, tensor in ClipVision(config).state_dict().items()}


@pytest.mark.parametrize(
    "config",
    [
        ClipVisionConfig(768, 12, 12, 3072, patch=16, projection=512),
        ClipVisionConfig(),
        ClipVisionConfig(size=336),
        ClipVisionConfig(1280, 16, 32, 5120, activation="gelu", projection=1024),
        ClipVisionConfig(1664, 16, 48, 8192, activation="gelu", projection=1280),
        ClipVisionConfig(projection=None),
    ],
    ids=["B/16", "L/14", "L/14 at 336", "H/14", "bigG/14", "without a projection"],
)
def test_published_encoders(config: ClipVisionConfig) -> None:
    assert clip_vision_config(shapes(config)) == config


def test_other_makes_are_refused() -> None:
    siglip = shapes(SMALL)
    del siglip["vision_model.embeddings.class_embedding"]
    siglip["vision_model.embeddings.patch_embedding.bias"] = (64,)
    with pytest.raises(ModelFileError, match="no vision encoder of CLIP") as caught:
        clip_vision_config(siglip)
    assert "SigLIP" in str(caught.value.hint)


def test_generated_file(shared: Path) -> None:
    listed = json.loads((shared / "synth" / "families" / "tiny_clip_vision.json").read_text())
    config = clip_vision_config({name: tuple(shape) for name, shape in listed.items()})
    assert config == ClipVisionConfig(128, 2, 24, 256, projection=96)
