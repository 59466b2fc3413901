"""Saved files hold the model that was used, to the last bit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from comfykit.errors import ModelFileError
from comfykit.families.load import FAMILIES, Checkpoint, load_checkpoint
from comfykit.families.save import (
    checkpoint_tensors,
    model_spec,
    model_tensors,
    text_encoder_tensors,
    vae_tensors,
)
from comfykit.memory import Residency
from comfykit.sampling.parametrization import VPrediction
from comfykit.weights.adapters import Adapted, Difference
from comfykit.weights.detect import detect
from comfykit.weights.patch import NO_PATCHES
from comfykit.weights.write import write_safetensors

NAME = "input_blocks.1.0.in_layers.2.weight"


def patched(checkpoint: Checkpoint) -> Checkpoint:
    """A checkpoint whose model and text encoder have a patch each."""
    shape = checkpoint.model.network.get_parameter(NAME).shape
    text = "encoder.layers.0.mlp.fc1.weight"
    text_shape = checkpoint.clip.networks["clip_l"].get_parameter(text).shape
    generator = torch.Generator().manual_seed(0)
    on_model = {NAME: Adapted(Difference(torch.randn(shape, generator=generator)))}
    on_text = {f"clip_l.{text}": Adapted(Difference(torch.randn(text_shape, generator=generator)))}
    return replace(
        checkpoint,
        model=replace(checkpoint.model, patches=NO_PATCHES.with_patches(on_model, 0.3)),
        clip=replace(checkpoint.clip, patches=NO_PATCHES.with_patches(on_text, 0.3)),
    )


def weights_in_use(checkpoint: Checkpoint, residency: Residency) -> dict[str, torch.Tensor]:
    checkpoint.model.predictor(residency)
    checkpoint.clip.encode("a fox", residency)
    found = {name: tensor.clone() for name, tensor in checkpoint.model.network.named_parameters()}
    text = checkpoint.clip.networks["clip_l"].named_parameters()
    return {**found, **{f"text.{name}": tensor.clone() for name, tensor in text}}


def save(checkpoint: Checkpoint, residency: Residency, path: Path) -> Path:
    tensors = checkpoint_tensors(checkpoint.model, checkpoint.clip, checkpoint.vae, residency)
    write_safetensors(path, tensors, {"who": "me"})
    return path


def test_an_unchanged_checkpoint_is_saved_as_it_was(
    checkpoint_path: Path, checkpoint: Checkpoint, residency: Residency, tmp_path: Path
) -> None:
    original, saved = load_file(checkpoint_path), load_file(save(checkpoint, residency, tmp_path / "x"))
    assert saved.keys() == original.keys()
    for name, tensor in original.items():
        assert saved[name].dtype == tensor.dtype
        assert torch.equal(saved[name], tensor)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_patched_checkpoint_is_loaded_again_bit_for_bit(
    checkpoint: Checkpoint, tmp_path: Path, precision: str
) -> None:
    residency = Residency("cpu", precision)
    changed = patched(checkpoint)
    path = save(changed, residency, tmp_path / "x.safetensors")
    used = weights_in_use(changed, residency)
    again = weights_in_use(load_checkpoint(path), residency)
    assert again.keys() == used.keys()
    assert all(torch.equal(again[name], tensor) for name, tensor in used.items())


def test_saving_while_placed_makes_no_difference(
    checkpoint: Checkpoint, residency: Residency, tmp_path: Path
) -> None:
    changed = patched(checkpoint)
    before = load_file(save(changed, residency, tmp_path / "before"))
    weights_in_use(changed, residency)
    after = load_file(save(changed, residency, tmp_path / "after"))
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())


def test_parts_are_found_to_be_what_they_are(checkpoint: Checkpoint, residency: Residency) -> None:
    model = {name: tensor.shape for name, tensor in model_tensors(checkpoint.model, residency).items()}
    text = {
        name: tensor.shape
        for name, tensor in text_encoder_tensors(checkpoint.clip, residency)["clip_l"].items()
    }
    vae = {name: tensor.shape for name, tensor in vae_tensors(checkpoint.vae, residency).items()}
    assert (detect(model).kind, detect(model).family) == ("diffusion_model", "sd15")
    assert detect(text).kind == "text_encoder"
    assert detect(vae).kind == "vae"


def test_sdxl_says_that_it_predicts_velocities(checkpoint: Checkpoint, residency: Residency) -> None:
    model = replace(checkpoint.model, family=FAMILIES["sdxl"], parametrization=VPrediction())
    assert "v_pred" in model_tensors(model, residency)
    assert "ztsnr" not in model_tensors(model, residency)
    assert "v_pred" not in model_tensors(checkpoint.model, residency)


def test_foreign_text_encoders_are_refused(checkpoint: Checkpoint, residency: Residency) -> None:
    model = replace(checkpoint.model, family=FAMILIES["sdxl"])
    with pytest.raises(ModelFileError, match="text encoders clip_l, clip_g, not clip_l"):
        checkpoint_tensors(model, checkpoint.clip, checkpoint.vae, residency)


def test_the_header_says_what_the_model_is(checkpoint: Checkpoint) -> None:
    said = model_spec(checkpoint.model, "Mine")
    assert said["modelspec.architecture"] == "stable-diffusion-v1"
    assert said["modelspec.title"] == "Mine"
    assert said["modelspec.prediction_type"] == "epsilon"
    assert said["modelspec.resolution"] == "512x512"
    second = replace(checkpoint.model, family=FAMILIES["sd21"], parametrization=VPrediction())
    assert model_spec(second, "Mine")["modelspec.architecture"] == "stable-diffusion-v2-768-v"


@pytest.mark.parametrize("name", ["tiny_sdxl", "tiny_sd21", "tiny_sdxl_refiner"])
def test_other_families_keep_names_and_layout(shared: Path, tmp_path: Path, name: str) -> None:
    original = generated(shared, name, tmp_path / "original.safetensors")
    found, residency = load_checkpoint(original), Residency("cpu", "fp32")
    saved = load_file(save(found, residency, tmp_path / "saved.safetensors"))
    wanted = load_file(original)
    unread = {key for key in wanted if key.endswith(("position_ids", "logit_scale"))}
    assert saved.keys() == wanted.keys() - unread
    assert all(torch.equal(saved[key], wanted[key]) for key in saved)
    with safe_open(tmp_path / "saved.safetensors", framework="pt") as file:
        assert file.metadata() == {"who": "me"}


def generated(shared: Path, name: str, path: Path) -> Path:
    """A checkpoint of the layout of published files, with random weights."""
    import json

    from safetensors.torch import save_file

    shapes = json.loads((shared / "synth" / "families" / f"{name}.json").read_text(encoding="utf-8"))
    generator = torch.Generator().manual_seed(0)
    save_file({key: torch.randn(shape, generator=generator).half() for key, shape in shapes.items()}, path)
    return path
