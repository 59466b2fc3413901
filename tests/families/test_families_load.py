from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from comfykit.errors import ModelFileError
from comfykit.families.load import Checkpoint, load_checkpoint, load_vae


def test_a_checkpoint_has_a_model_a_text_encoder_and_a_vae(checkpoint: Checkpoint) -> None:
    assert checkpoint.model.family.name == "sd15"
    assert list(checkpoint.clip.encoder.networks) == ["clip_l"]
    assert checkpoint.vae.network.config.latent_channels == 4


def test_weights_stay_in_the_file_until_they_are_used(checkpoint: Checkpoint) -> None:
    assert {parameter.dtype for parameter in checkpoint.model.network.parameters()} == {torch.float16}
    assert not any(parameter.requires_grad for parameter in checkpoint.model.network.parameters())


def test_a_pickled_checkpoint_is_the_same(
    checkpoint_path: Path, checkpoint: Checkpoint, tmp_path: Path
) -> None:
    path = tmp_path / "model.ckpt"
    torch.save({"state_dict": load_file(checkpoint_path), "global_step": 7}, path)
    again = load_checkpoint(path).model.network.state_dict()
    assert all(
        torch.equal(again[name], value) for name, value in checkpoint.model.network.state_dict().items()
    )


def test_a_vae_is_found_alone_and_inside_a_checkpoint(
    checkpoint_path: Path, checkpoint: Checkpoint, tmp_path: Path
) -> None:
    wanted = checkpoint.vae.network.state_dict()
    alone = tmp_path / "vae.safetensors"
    save_file({name: value.clone() for name, value in wanted.items()}, alone)
    for path in (checkpoint_path, alone):
        found = load_vae(path).network.state_dict()
        assert all(torch.equal(found[name], value) for name, value in wanted.items())


def without(checkpoint_path: Path, prefix: str, path: Path) -> Path:
    tensors = load_file(checkpoint_path)
    save_file({name: value for name, value in tensors.items() if not name.startswith(prefix)}, path)
    return path


@pytest.mark.parametrize(
    ("prefix", "said"), [("first_stage_model.", "no VAE"), ("cond_stage_model.", "no text encoder")]
)
def test_a_checkpoint_that_lacks_a_part_is_named(
    checkpoint_path: Path, tmp_path: Path, prefix: str, said: str
) -> None:
    path = without(checkpoint_path, prefix, tmp_path / "part.safetensors")
    with pytest.raises(ModelFileError, match=said) as caught:
        load_checkpoint(path)
    assert str(path) in str(caught.value)


def test_a_checkpoint_that_lacks_a_tensor_is_named(checkpoint_path: Path, tmp_path: Path) -> None:
    path = without(checkpoint_path, "model.diffusion_model.out.2.bias", tmp_path / "cut.safetensors")
    with pytest.raises(ModelFileError, match=r"U-Net of cut\.safetensors.*out\.2\.bias"):
        load_checkpoint(path)


def test_a_lora_in_the_wrong_folder_is_told_where_it_belongs(tmp_path: Path) -> None:
    path = tmp_path / "style.safetensors"
    save_file({"lora_unet_mid_block_attentions_0_proj_in.lora_up.weight": torch.zeros(4, 4)}, path)
    with pytest.raises(ModelFileError, match="this is a LoRA, not a checkpoint") as caught:
        load_checkpoint(path)
    assert "models/loras" in (caught.value.hint or "")


def test_a_family_that_is_not_run_yet_is_named(tmp_path: Path) -> None:
    path = tmp_path / "flux.safetensors"
    tensors = {
        "model.diffusion_model.double_blocks.0.img_attn.norm.key_norm.scale": torch.zeros(4),
        "first_stage_model.decoder.conv_in.bias": torch.zeros(4),
        "text_encoders.t5xxl.transformer.encoder.block.0.layer.0.layer_norm.weight": torch.zeros(4),
    }
    save_file(tensors, path)
    with pytest.raises(ModelFileError, match="flux"):
        load_checkpoint(path)
