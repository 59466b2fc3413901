from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from comfykit.families.load import Checkpoint, load_checkpoint
from comfykit.families.merge import by_block, merge_models, merge_text_encoders, mix
from comfykit.memory import Residency
from comfykit.weights.adapters import Adapted, Difference
from comfykit.weights.patch import NO_PATCHES

NAME = "input_blocks.1.0.in_layers.2.weight"
TEXT_NAME = "encoder.layers.0.mlp.fc1.weight"


@pytest.fixture
def other(checkpoint_path: Path, tmp_path: Path) -> Checkpoint:
    """A checkpoint of the same make with other weights."""
    path = tmp_path / "other.safetensors"
    save_file(
        {name: (tensor * 0.5 + 0.01).half() for name, tensor in load_file(checkpoint_path).items()}, path
    )
    return load_checkpoint(path)


def test_models_are_mixed_weight_by_weight(
    checkpoint: Checkpoint, other: Checkpoint, residency: Residency
) -> None:
    a = {name: tensor.float() for name, tensor in residency.sources(checkpoint.model.network).items()}
    b = {name: tensor.float() for name, tensor in residency.sources(other.model.network).items()}
    merged = merge_models(checkpoint.model, other.model, residency, lambda name: mix(0.3))
    assert merged.left_out == ()
    merged.model.predictor(residency)
    for name, tensor in checkpoint.model.network.named_parameters():
        torch.testing.assert_close(tensor, 0.3 * a[name] + 0.7 * b[name])


def test_nothing_is_read_or_copied_before_the_model_is_used(
    checkpoint: Checkpoint, other: Checkpoint, residency: Residency
) -> None:
    before = [tensor.data_ptr() for tensor in checkpoint.model.network.parameters()]
    merge_models(checkpoint.model, other.model, residency, lambda name: mix(0.3))
    assert [tensor.data_ptr() for tensor in checkpoint.model.network.parameters()] == before
    assert residency.resident_bytes() == 0


def test_patches_of_both_come_along(checkpoint: Checkpoint, other: Checkpoint, residency: Residency) -> None:
    shape = checkpoint.model.network.get_parameter(NAME).shape
    a, b = (residency.sources(one.model.network)[NAME].float() for one in (checkpoint, other))
    patches = NO_PATCHES.with_patches({NAME: Adapted(Difference(torch.full(shape, 2.0)))})
    first, second = (replace(one.model, patches=patches) for one in (checkpoint, other))
    merged = merge_models(first, second, residency, lambda name: mix(0.25)).model
    merged.predictor(residency)
    torch.testing.assert_close(
        checkpoint.model.network.get_parameter(NAME), 0.25 * (a + 2.0) + 0.75 * (b + 2.0)
    )


def test_a_second_model_that_is_placed_is_read_from_its_file(
    checkpoint: Checkpoint, other: Checkpoint, residency: Residency
) -> None:
    shape = other.model.network.get_parameter(NAME).shape
    b = residency.sources(other.model.network)[NAME].float()
    patches = NO_PATCHES.with_patches({NAME: Adapted(Difference(torch.full(shape, 2.0)))})
    replace(other.model, patches=patches).predictor(residency)
    merged = merge_models(checkpoint.model, other.model, residency, lambda name: mix(0.0)).model
    merged.predictor(residency)
    torch.testing.assert_close(checkpoint.model.network.get_parameter(NAME), b)


def test_a_model_merged_with_itself_is_itself(checkpoint: Checkpoint, residency: Residency) -> None:
    a = residency.sources(checkpoint.model.network)[NAME].float()
    merged = merge_models(checkpoint.model, checkpoint.model, residency, lambda name: (1.0, 1.0)).model
    merged.predictor(residency)
    assert torch.equal(checkpoint.model.network.get_parameter(NAME), 2 * a)


def test_all_of_the_first_model_needs_no_patch(
    checkpoint: Checkpoint, other: Checkpoint, residency: Residency
) -> None:
    merged = merge_models(checkpoint.model, other.model, residency, lambda name: mix(1.0)).model
    assert len(merged.patches) == 0


def test_of_a_weight_of_another_size_the_first_is_kept_and_scaled(
    checkpoint: Checkpoint, other: Checkpoint, residency: Residency
) -> None:
    name = "input_blocks.0.0.weight"
    a = residency.sources(checkpoint.model.network)[name].float()
    wide = torch.zeros(a.shape[0], 9, 3, 3)
    other.model.network.input_blocks[0][0].weight = torch.nn.Parameter(wide, requires_grad=False)
    merged = merge_models(checkpoint.model, other.model, residency, lambda name: (0.5, 0.5))
    assert merged.left_out == (name,)
    merged.model.predictor(residency)
    torch.testing.assert_close(checkpoint.model.network.get_parameter(name), 0.5 * a)


def test_the_longest_beginning_of_a_name_gives_the_ratio() -> None:
    factors = by_block({"input_blocks.1": 0.1, "input_blocks.10.": 0.2, "out.": 0.3}, 0.4)
    assert factors("input_blocks.1.0.x") == (0.1, 0.9)
    assert factors("input_blocks.10.0.x") == (0.2, 0.8)
    assert factors("out.2.weight") == (0.3, 0.7)
    assert factors("output_blocks.0.0.x") == (0.4, 0.6)


def test_text_encoders_are_merged_and_stored_in_half_precision(
    checkpoint: Checkpoint, other: Checkpoint, residency: Residency
) -> None:
    network = checkpoint.clip.networks["clip_l"]
    a = network.get_parameter(TEXT_NAME).float()
    b = other.clip.networks["clip_l"].get_parameter(TEXT_NAME).float()
    merged = merge_text_encoders(checkpoint.clip, other.clip, residency, (2.0, -2.0))
    merged.encode("a fox", residency)
    assert torch.equal(network.get_parameter(TEXT_NAME), (2.0 * a - 2.0 * b).half())
    checkpoint.clip.encode("a fox", residency)
    assert torch.equal(network.get_parameter(TEXT_NAME).float(), a)
