from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from nodes_support import Run
from safetensors.torch import load_file, save_file

from comfykit.engine.define import node_class
from comfykit.families.components import DiffusionModel
from comfykit.families.load import Checkpoint, load_checkpoint
from comfykit.nodes import merging
from random_weights import CHECKPOINT

INPUT = "input_blocks.1.0.in_layers.2.weight"
MIDDLE = "middle_block.0.in_layers.2.weight"
OUTPUT = "out.2.weight"
TIME = "time_embed.0.weight"


@pytest.fixture(autouse=True)
def _inference() -> Iterator[None]:
    with torch.inference_mode():
        yield


@pytest.fixture
def first(random_home: Path) -> Checkpoint:
    return load_checkpoint(random_home / "models" / "checkpoints" / CHECKPOINT)


@pytest.fixture
def second(random_home: Path, tmp_path: Path) -> Checkpoint:
    """The same make with weights of 1."""
    path = tmp_path / "ones.safetensors"
    tensors = load_file(random_home / "models" / "checkpoints" / CHECKPOINT)
    save_file({name: torch.ones_like(tensor) for name, tensor in tensors.items()}, path)
    return load_checkpoint(path)


def merged(model: DiffusionModel, name: str) -> tuple[float, float]:
    """The factors of the first and of the second model for a parameter."""
    entries = model.patches.entries(name)
    return (entries[0].strength_model, entries[0].strength) if entries else (1.0, 0.0)


def test_simple(run: Run, first: Checkpoint, second: Checkpoint) -> None:
    model = merging.model_merge_simple(run.context, first.model, second.model, 0.25)
    assert {merged(model, name) for name in (INPUT, MIDDLE, OUTPUT, TIME)} == {(0.25, 0.75)}
    assert model.network is first.model.network


def test_blocks_take_their_ratio_and_the_rest_that_of_the_input(
    run: Run, first: Checkpoint, second: Checkpoint
) -> None:
    model = merging.model_merge_blocks(run.context, first.model, second.model, 0.25, 0.5, 0.75)
    found = [merged(model, name) for name in (INPUT, MIDDLE, OUTPUT, "output_blocks.0.0.in_layers.2.weight")]
    assert found == [(0.25, 0.75), (0.5, 0.5), (0.75, 0.25), (0.75, 0.25)]
    assert merged(model, TIME) == (0.25, 0.75)


def test_add_and_subtract(run: Run, first: Checkpoint, second: Checkpoint) -> None:
    assert merged(merging.model_merge_add(run.context, first.model, second.model), INPUT) == (1.0, 1.0)
    model = merging.model_merge_subtract(run.context, first.model, second.model, 2.5)
    assert merged(model, INPUT) == (2.5, -2.5)


@pytest.mark.parametrize(
    ("merge", "block"),
    [
        (merging.model_merge_sd1, "middle_block.0."),
        (merging.model_merge_sd2, "middle_block.0."),
        (merging.model_merge_sdxl, "middle_block.0"),
    ],
)
def test_every_block_has_a_ratio(
    run: Run,
    first: Checkpoint,
    second: Checkpoint,
    merge: Callable[..., tuple[DiffusionModel]],
    block: str,
) -> None:
    entry = node_class(merge)
    assert entry is not None
    ratios = dict.fromkeys((name for name in entry.inputs if not name.startswith("model")), 1.0)
    (model,) = entry.bind().run(
        context=run.context, model1=first.model, model2=second.model, **{**ratios, block: 0.5}
    )
    changed = {name for name in model.patches if merged(model, name) == (0.5, 0.5)}
    assert changed == {name for name, _ in first.model.network.named_parameters() if name.startswith(block)}
    assert changed == set(model.patches)


def test_text_encoders(run: Run, first: Checkpoint, second: Checkpoint) -> None:
    name = "clip_l.encoder.layers.0.mlp.fc1.weight"
    for clip, expected in (
        (merging.clip_merge_simple(run.context, first.clip, second.clip, 0.25), (0.25, 0.75)),
        (merging.clip_merge_add(run.context, first.clip, second.clip), (1.0, 1.0)),
        (merging.clip_merge_subtract(run.context, first.clip, second.clip, 2.0), (2.0, -2.0)),
    ):
        (entry,) = clip.patches.entries(name)
        assert (entry.strength_model, entry.strength) == expected


def test_weights_that_do_not_fit_are_warned_about(run: Run, first: Checkpoint, second: Checkpoint) -> None:
    network = second.model.network
    network.input_blocks[0][0].weight = torch.nn.Parameter(torch.ones(32, 9, 3, 3), requires_grad=False)
    merging.model_merge_add(run.context, first.model, replace(second.model, network=network))
    assert run.warnings == ["1 weights of model2 do not fit model1 and are left out: input_blocks.0.0.weight"]
