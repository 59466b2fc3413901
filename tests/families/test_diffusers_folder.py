from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from comfykit.errors import ModelFileError
from comfykit.families.diffusers_folder import load_diffusers
from comfykit.families.load import load_checkpoint, load_diffusion_model
from comfykit.families.load_text import one_clip
from comfykit.memory import Residency
from comfykit.models.clip_text import ClipText, ClipTextConfig
from comfykit.weights.detect import TextPart, detect
from comfykit.weights.diffusers_names import diffusers_names
from comfykit.weights.read import take
from tiny_models import sdxl

UNET = "diffusion_pytorch_model.safetensors"


def as_folder(tensors: dict[str, Tensor], folder: Path, text: dict[str, str]) -> Path:
    """A checkpoint in diffusers' layout; `text` has the prefix of each encoder by the folder it goes to."""
    unet = take(tensors, "model.diffusion_model.")
    found = detect({name: tuple(tensor.shape) for name, tensor in tensors.items()}).unet
    assert found is not None
    theirs = diffusers_names({name.rpartition(".")[0] for name in unet}, found.config)
    renamed = {
        f"{theirs[layer]}.{kind}": unet[f"{layer}.{kind}"]
        for layer, _, kind in (name.rpartition(".") for name in unet)
    }
    parts = {f"unet/{UNET}": renamed, f"vae/{UNET}": take(tensors, "first_stage_model.")}
    parts |= {f"{name}/model.safetensors": take(tensors, prefix) for name, prefix in text.items()}
    for name, part in parts.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        save_file({key: value.contiguous() for key, value in part.items()}, folder / name)
    (folder / "model_index.json").write_text(json.dumps({"_class_name": "StableDiffusionPipeline"}))
    return folder


@pytest.fixture
def folder(checkpoint_path: Path, tmp_path: Path) -> Path:
    return as_folder(
        load_file(checkpoint_path), tmp_path / "sd15", {"text_encoder": "cond_stage_model.transformer."}
    )


def test_a_folder_is_the_checkpoint_that_it_was(
    folder: Path, checkpoint_path: Path, residency: Residency
) -> None:
    found, expected = load_diffusers(folder), load_checkpoint(checkpoint_path)
    assert found.model.family.name == "sd15"
    assert found.model.network.config == expected.model.network.config
    for ours, theirs in ((found.model, expected.model), (found.vae, expected.vae)):
        own, other = ours.network.state_dict(), theirs.network.state_dict()
        assert own.keys() == other.keys()
        assert all(torch.equal(own[name], other[name]) for name in own)
    prompts = [one.clip.encode("a fox", residency) for one in (found, expected)]
    assert torch.equal(prompts[0].embedding, prompts[1].embedding)


def test_half_precision_is_read_first(folder: Path) -> None:
    whole = load_file(folder / "unet" / UNET)
    half = {name: tensor.half() for name, tensor in whole.items()}
    save_file(half, folder / "unet" / "diffusion_pytorch_model.fp16.safetensors")
    dtypes = {parameter.dtype for parameter in load_diffusers(folder).model.network.parameters()}
    assert dtypes == {torch.float16}


def test_the_unet_alone_is_a_diffusion_model(folder: Path, checkpoint_path: Path) -> None:
    alone = load_diffusion_model(folder / "unet" / UNET)
    expected = load_diffusion_model(checkpoint_path)
    assert alone.family == expected.family
    own, other = alone.network.state_dict(), expected.network.state_dict()
    assert all(torch.equal(own[name], other[name]) for name in other)


def test_what_is_missing_is_said(folder: Path) -> None:
    (folder / "vae" / UNET).unlink()
    with pytest.raises(ModelFileError, match=r"vae holds none of diffusion_pytorch_model\.fp16"):
        load_diffusers(folder)
    (folder / "text_encoder" / "model.safetensors").unlink()
    with pytest.raises(ModelFileError, match="holds no U-Net"):
        load_diffusers(folder / "vae")


def test_without_a_text_encoder_it_is_incomplete(folder: Path) -> None:
    (folder / "text_encoder" / "model.safetensors").unlink()
    (folder / "text_encoder").rmdir()
    with pytest.raises(ModelFileError, match="holds no text encoder"):
        load_diffusers(folder)


def test_text_encoders_of_sd2_may_end_with_the_layer_that_is_read() -> None:
    """One that ends with its 23rd layer and one of 24 read at the last but one give the same."""
    torch.manual_seed(0)
    network = ClipText(ClipTextConfig(64, 1, 24, 64, 49408, 77, "gelu"))
    states: dict[str, Any] = dict(network.state_dict())
    cut = {name: tensor for name, tensor in states.items() if "layers.23." not in name}
    part = (TextPart("", "clip"),)
    whole, found = (one_clip(one, part).encode("a fox") for one in (states, cut))
    torch.testing.assert_close(found.embedding, whole.embedding)


def test_sdxl_with_two_text_encoders(tmp_path: Path) -> None:
    tensors = {name: tensor.contiguous() for name, tensor in sdxl().items()}
    places = {"text_encoder": "conditioner.embedders.0.transformer."}
    folder = as_folder(tensors, tmp_path / "sdxl", places)
    second = take(tensors, "conditioner.embedders.0.transformer.")
    longer = {
        name.replace(".layers.1.", ".layers.2."): tensor.clone()
        for name, tensor in second.items()
        if ".layers.1." in name
    }
    (folder / "text_encoder_2").mkdir()
    save_file({**second, **longer}, folder / "text_encoder_2" / "model.safetensors")
    found = load_diffusers(folder)
    assert found.model.family.name == "sdxl"
    assert list(found.clip.networks) == ["clip_l", "clip_g"]
    assert found.clip.networks["clip_g"].config.layers == 3
