"""Saved models are found, loaded and used again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from nodes_support import Run
from safetensors import safe_open

from comfykit.engine.values import NodeOutput
from comfykit.errors import Interrupted, UsageError
from comfykit.families.load import Checkpoint, load_checkpoint, load_diffusion_model, load_vae
from comfykit.memory import Residency
from comfykit.nodes.context import NodeContext
from comfykit.nodes.loaders import checkpoint_loader, unet_loader
from comfykit.nodes.merging import (
    clip_merge_subtract,
    model_merge_add,
    model_merge_simple,
    model_merge_subtract,
)
from comfykit.nodes.model_saving import checkpoint_save, clip_save, lora_save, model_save, vae_save
from comfykit.weights.read import open_weights
from random_weights import CHECKPOINT


@pytest.fixture(autouse=True)
def _inference() -> Iterator[None]:
    with torch.inference_mode():
        yield


@pytest.fixture
def checkpoint(random_home: Path) -> Checkpoint:
    return load_checkpoint(random_home / "models" / "checkpoints" / CHECKPOINT)


def only_file(output: NodeOutput, run: Run) -> Path:
    (file,) = files(output)
    assert file["type"] == "output"
    return run.settings.output_dir / file["subfolder"] / file["filename"]


def files(output: NodeOutput) -> list[dict[str, Any]]:
    return list(output.ui["models"])


def same(first: torch.nn.Module, second: torch.nn.Module) -> bool:
    theirs = dict(second.named_parameters())
    return all(torch.equal(tensor, theirs[name]) for name, tensor in first.named_parameters())


def test_a_checkpoint_carries_its_workflow_and_what_it_is(run: Run, checkpoint: Checkpoint) -> None:
    parts = (checkpoint.model, checkpoint.clip, checkpoint.vae)
    output = checkpoint_save(run.context, *parts, "mine/merged", {"1": {}}, {"workflow": {"nodes": []}})
    path = only_file(output, run)
    assert path.name == "merged_00001_.safetensors"
    with safe_open(path, framework="pt") as file:
        said = file.metadata()
    assert json.loads(said["prompt"]) == {"1": {}}
    assert json.loads(said["workflow"]) == {"nodes": []}
    assert said["modelspec.title"] == "merged"
    loaded = load_checkpoint(path)
    assert same(loaded.model.network, checkpoint.model.network)
    assert same(loaded.clip.networks["clip_l"], checkpoint.clip.networks["clip_l"])
    assert same(loaded.vae.network, checkpoint.vae.network)


def test_counters_go_on(run: Run, checkpoint: Checkpoint) -> None:
    names = [only_file(vae_save(run.context, checkpoint.vae, "vae/x"), run).name for _ in range(2)]
    assert names == ["x_00001_.safetensors", "x_00002_.safetensors"]


def test_a_merged_model_is_the_same_when_it_is_loaded_again(run: Run, checkpoint: Checkpoint) -> None:
    context = run.context
    doubled = model_merge_add(context, checkpoint.model, checkpoint.model)
    merged = model_merge_simple(context, checkpoint.model, doubled, 0.7)
    path = only_file(model_save(context, merged, "diffusion_models/ComfyUI"), run)
    loaded = load_diffusion_model(path)
    merged.predictor(context.residency)
    loaded.predictor(context.residency)
    assert same(loaded.network, merged.network)


def test_parts_are_loaded_by_their_loaders(run: Run, checkpoint: Checkpoint) -> None:
    vae = only_file(vae_save(run.context, checkpoint.vae, "vae/ComfyUI_vae"), run)
    assert same(load_vae(vae).network, checkpoint.vae.network)
    clip = only_file(clip_save(run.context, checkpoint.clip, "clip/ComfyUI"), run)
    assert clip.name == "ComfyUI_clip_l_00001_.safetensors"
    assert "text_model.encoder.layers.0.mlp.fc1.weight" in open_weights(clip).tensors


def test_a_saved_diffusion_model_is_one_for_the_loader(run: Run, checkpoint: Checkpoint) -> None:
    path = only_file(model_save(run.context, checkpoint.model, "x"), run)
    folder = run.settings.home.models / "diffusion_models"
    folder.mkdir(parents=True)
    path.rename(folder / "x.safetensors")
    assert same(unet_loader(run.context, "x.safetensors", "default").network, checkpoint.model.network)
    rounded = unet_loader(run.context, "x.safetensors", "fp8_e4m3fn").network
    for name, tensor in checkpoint.model.network.named_parameters():
        assert torch.equal(rounded.get_parameter(name).float(), tensor.to(torch.float8_e4m3fn).float())


def test_a_lora_needs_a_difference_and_holds_it(run: Run, checkpoint: Checkpoint) -> None:
    context = run.context
    with pytest.raises(UsageError, match="needs a difference"):
        lora_save(context, "loras/x", 2, "standard", True)
    nothing = clip_merge_subtract(context, checkpoint.clip, checkpoint.clip, 1.0)
    whole = model_merge_subtract(context, checkpoint.model, checkpoint.model, 0.0)
    assert not open_weights(
        only_file(lora_save(context, "loras/none", 2, "full_diff", True, whole, nothing), run)
    ).tensors
    path = only_file(lora_save(context, "loras/x", 2, "full_diff", False, checkpoint.model), run)
    found = open_weights(path).tensors
    layer = "middle_block.1.transformer_blocks.0.attn1.to_q"
    assert torch.equal(
        found[f"diffusion_model.{layer}.diff"], checkpoint.model.network.get_parameter(f"{layer}.weight")
    )
    assert not any(name.endswith("diff_b") for name in found)


def test_stopping_leaves_no_file(run: Run, checkpoint: Checkpoint) -> None:
    context = NodeContext("1", run.settings, Residency("cpu", "fp32"), run.events.append, lambda: True)
    with pytest.raises(Interrupted):
        vae_save(context, checkpoint.vae, "vae/x")
    assert list((run.settings.output_dir / "vae").iterdir()) == []


def test_a_configuration_is_not_read_and_that_is_said(run: Run, random_home: Path) -> None:
    folder = run.settings.home.models / "checkpoints"
    folder.mkdir(parents=True)
    (folder / CHECKPOINT).symlink_to(random_home / "models" / "checkpoints" / CHECKPOINT)
    model, _, _ = checkpoint_loader(run.context, "v1-inference.yaml", CHECKPOINT)
    assert model.family.name == "sd15"
    assert "v1-inference.yaml" in run.warnings[0]
