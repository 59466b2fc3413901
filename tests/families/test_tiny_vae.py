from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from comfykit.errors import ModelFileError
from comfykit.families.tiny_vae import TINY_VAES, load_tiny_vae
from comfykit.memory import Residency
from comfykit.models.taesd import TAESD, TAESDConfig


def write(path: Path, network: TAESD, side: str) -> Path:
    own = {
        name.removeprefix(f"{side}."): tensor for name, tensor in network.state_dict().items() if side in name
    }
    save_file(own, path)
    return path


def test_two_files_are_one_autoencoder(tmp_path: Path, residency: Residency) -> None:
    with torch.inference_mode(False):
        network = TAESD(TAESDConfig(width=16, latent_channels=4))
    encoder, decoder = (
        write(tmp_path / f"{side}.safetensors", network, side) for side in ("encoder", "decoder")
    )
    vae = load_tiny_vae(encoder, decoder, 0.5)
    assert isinstance(vae.network, TAESD)
    assert vae.network.config == TAESDConfig(width=16, latent_channels=4, scale=0.5)
    pixels = torch.rand(2, 19, 32, 3, generator=torch.Generator().manual_seed(1))
    latent = vae.encode(pixels, residency)
    assert latent.shape == (2, 4, 2, 4)
    assert vae.decode(latent, residency).shape == (2, 16, 32, 3)
    with pytest.raises(ModelFileError, match="no encoder of a tiny VAE"):
        load_tiny_vae(decoder, encoder, 0.5)


def test_their_files_are_named_after_them() -> None:
    tiny = TINY_VAES["taesdxl"]
    assert (tiny.encoder, tiny.decoder, tiny.scale) == ("taesdxl_encoder", "taesdxl_decoder", 0.13025)
    assert TINY_VAES["taesd"].scale == 0.18215
