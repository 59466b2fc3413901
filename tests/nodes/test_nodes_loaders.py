from __future__ import annotations

from pathlib import Path

import pytest
import torch
from nodes_support import Run
from safetensors.torch import load_file, save_file

from comfykit.errors import ModelFileError, UsageError
from comfykit.memory import Residency
from comfykit.models.pixel_space import PixelSpace
from comfykit.models.taesd import TAESD, TAESDConfig
from comfykit.nodes.loaders import (
    VAE_NAMES,
    checkpoint_loader_simple,
    clip_loader,
    dual_clip_loader,
    unet_loader,
    vae_loader,
)
from comfykit.services.environment import HomeEnvironment
from random_weights import CHECKPOINT


@pytest.fixture
def parts(run: Run, random_home: Path) -> Run:
    """A home with the checkpoint of random weights, whole and taken to pieces."""
    tensors = load_file(random_home / "models" / "checkpoints" / CHECKPOINT)
    places = {
        "checkpoints/whole": "",
        "diffusion_models/unet": "model.diffusion_model.",
        "text_encoders/clip": "cond_stage_model.transformer.",
        "vae/vae": "first_stage_model.",
    }
    for place, prefix in places.items():
        path = run.settings.home.models / f"{place}.safetensors"
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file({name.removeprefix(prefix): own for name, own in tensors.items() if prefix in name}, path)
    return run


def test_the_parts_are_those_of_the_whole(parts: Run) -> None:
    context, residency = parts.context, Residency("cpu", "fp32")
    model, clip, vae = checkpoint_loader_simple(context, "whole.safetensors")
    alone = unet_loader(context, "unet.safetensors", "default")
    assert alone.family == model.family
    for name, tensor in model.network.state_dict().items():
        assert torch.equal(alone.network.state_dict()[name], tensor)
    prompt = clip_loader(context, "clip.safetensors", "stable_diffusion").encode("a fox", residency)
    assert torch.equal(prompt.embedding, clip.encode("a fox", residency).embedding)
    latent = torch.randn(1, 4, 4, 4)
    other = vae_loader(context, "vae.safetensors")
    assert torch.equal(other.decode(latent, residency), vae.decode(latent, residency))


@pytest.mark.parametrize("dtype", ["fp8_e4m3fn", "fp8_e4m3fn_fast", "fp8_e5m2"])
def test_weights_of_8_bits(parts: Run, dtype: str) -> None:
    wanted = torch.float8_e5m2 if dtype == "fp8_e5m2" else torch.float8_e4m3fn
    whole = unet_loader(parts.context, "unet.safetensors", "default").network.state_dict()
    rounded = unet_loader(parts.context, "unet.safetensors", dtype).network
    assert {tensor.dtype for tensor in rounded.parameters()} == {wanted}
    Residency("cpu", "fp32").place_part(rounded, "unet")
    name = "input_blocks.1.0.in_layers.2.weight"
    assert torch.equal(rounded.state_dict()[name], whole[name].to(wanted).float())


def test_text_encoders_of_other_models_are_named(parts: Run) -> None:
    names = "clip.safetensors", "clip.safetensors"
    with pytest.raises(UsageError, match="type flux are for models that comfykit does not run yet") as caught:
        dual_clip_loader(parts.context, *names, "flux")
    assert caught.value.hint == "it knows stable_diffusion, sdxl"
    assert clip_loader(parts.context, names[0], "stable_diffusion", "cpu").device == torch.device("cpu")


def test_a_file_of_another_kind_is_named(parts: Run) -> None:
    (parts.settings.home.models / "vae" / "unet.safetensors").symlink_to(
        parts.settings.home.models / "diffusion_models" / "unet.safetensors"
    )
    with pytest.raises(ModelFileError, match=r"this is a diffusion model .*, not a VAE"):
        vae_loader(parts.context, "unet.safetensors")


def test_pixels_need_no_file(run: Run) -> None:
    assert isinstance(vae_loader(run.context, "pixel_space").network, PixelSpace)


def test_a_tiny_vae_is_offered_where_both_its_files_are(run: Run) -> None:
    environment = HomeEnvironment(run.settings)
    folder = run.settings.home.models / "vae_approx"
    folder.mkdir(parents=True)
    network = TAESD(TAESDConfig(width=8))
    save_file(dict(network.encoder.state_dict()), folder / "taesdxl_encoder.safetensors")
    assert VAE_NAMES.names(environment) == ["pixel_space"]
    missing = VAE_NAMES.missing("taesdxl", environment)
    assert missing.message == "'taesdxl' is made of files that are not in models/vae_approx: taesdxl_decoder"
    torch.save(network.decoder.state_dict(), folder / "taesdxl_decoder.pth")
    assert VAE_NAMES.names(environment) == ["taesdxl", "pixel_space"]
    loaded = vae_loader(run.context, "taesdxl").network
    assert isinstance(loaded, TAESD)
    assert loaded.config.scale == 0.13025
    with pytest.raises(ModelFileError, match="taesd_encoder"):
        vae_loader(run.context, "taesd")
