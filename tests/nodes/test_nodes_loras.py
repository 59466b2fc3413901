from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from nodes_support import Run
from safetensors.torch import save_file

from comfykit.errors import ModelFileError
from comfykit.families.load import Checkpoint, load_checkpoint
from comfykit.nodes.loras import lora_loader, lora_loader_model_only, lora_model_loader
from random_weights import CHECKPOINT

LAYER = "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn1_to_q"
TEXT = "lora_te_text_model_encoder_layers_0_self_attn_q_proj"


@pytest.fixture(autouse=True)
def _inference() -> Iterator[None]:
    with torch.inference_mode():
        yield


@pytest.fixture
def checkpoint(random_home: Path) -> Checkpoint:
    return load_checkpoint(random_home / "models" / "checkpoints" / CHECKPOINT)


def tensors() -> dict[str, torch.Tensor]:
    return {
        f"{name}.lora_{part}.weight": torch.ones(128, 1) if part == "up" else torch.ones(1, 128)
        for name in (LAYER, TEXT)
        for part in ("up", "down")
    }


@pytest.fixture
def lora(run: Run) -> str:
    path = run.settings.home.models / "loras" / "style.safetensors"
    path.parent.mkdir(parents=True)
    save_file(tensors(), path)
    return path.name


def test_a_lora_goes_on_model_and_text_encoder(run: Run, checkpoint: Checkpoint, lora: str) -> None:
    model, clip = lora_loader(run.context, checkpoint.model, checkpoint.clip, lora, 0.5, 0.25)
    (on_model,) = (entry for name in model.patches for entry in model.patches.entries(name))
    (on_clip,) = (entry for name in clip.patches for entry in clip.patches.entries(name))
    assert (on_model.strength, on_clip.strength) == (0.5, 0.25)
    assert model.network is checkpoint.model.network
    assert len(checkpoint.model.patches) == len(checkpoint.clip.patches) == 0
    assert run.warnings == []


def test_without_strength_the_file_is_not_even_opened(run: Run, checkpoint: Checkpoint) -> None:
    model, clip = lora_loader(run.context, checkpoint.model, checkpoint.clip, "nowhere", 0.0, 0.0)
    assert (model, clip) == (checkpoint.model, checkpoint.clip)
    assert lora_loader_model_only(run.context, checkpoint.model, "nowhere", 0.0) is checkpoint.model
    assert lora_model_loader(run.context, checkpoint.model, {}, 0.0) is checkpoint.model


def test_a_part_without_strength_is_not_patched(run: Run, checkpoint: Checkpoint, lora: str) -> None:
    model, clip = lora_loader(run.context, checkpoint.model, checkpoint.clip, lora, 0.0, 1.0)
    assert len(model.patches) == 0
    assert len(clip.patches) == 1


def test_the_model_alone(run: Run, checkpoint: Checkpoint, lora: str) -> None:
    model = lora_loader_model_only(run.context, checkpoint.model, lora, 1.0)
    assert list(model.patches) == list(
        lora_model_loader(run.context, checkpoint.model, tensors(), 1.0).patches
    )
    assert len(model.patches) == 1
    assert run.warnings == []


def test_what_is_left_out_is_warned_about_by_the_file_name(run: Run, checkpoint: Checkpoint) -> None:
    path = run.settings.home.models / "loras" / "half.safetensors"
    path.parent.mkdir(parents=True)
    save_file({**tensors(), "lora_unet_mid_block.oft_blocks": torch.ones(1)}, path)
    lora_loader(run.context, checkpoint.model, checkpoint.clip, path.name, 1.0, 1.0)
    (said,) = run.warnings
    assert said.startswith("half.safetensors: 1 patches in a form")


def test_another_file_is_refused(run: Run, checkpoint: Checkpoint, random_home: Path) -> None:
    folder = run.settings.home.models / "loras"
    folder.mkdir(parents=True)
    shutil.copy(random_home / "models" / "checkpoints" / CHECKPOINT, folder)
    with pytest.raises(ModelFileError, match="this is a checkpoint, not a LoRA"):
        lora_loader(run.context, checkpoint.model, checkpoint.clip, CHECKPOINT, 1.0, 1.0)
