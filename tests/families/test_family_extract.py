from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from comfykit.families.extract import closest, extract_lora
from comfykit.families.load import Checkpoint
from comfykit.families.lora import add_lora
from comfykit.memory import Residency
from comfykit.weights.adapters import Adapted, Difference, LowRank
from comfykit.weights.lora import parse_lora
from comfykit.weights.patch import NO_PATCHES, Entry, Patches, WeightPatch

CPU = torch.device("cpu")
MATRIX = "middle_block.1.transformer_blocks.0.attn1.to_q.weight"
KERNEL = "input_blocks.1.0.in_layers.2.weight"
VECTOR = "out.0.weight"
BIAS = "out.2.bias"
TEXT = "encoder.layers.0.mlp.fc1.weight"


@pytest.mark.parametrize("shape", [(12, 8), (12, 4, 3, 3)])
def test_the_product_is_the_closest_of_its_rank(shape: tuple[int, ...]) -> None:
    difference = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    values = torch.linalg.svdvals(difference.flatten(1))
    for rank in (1, 3, 100):
        made = closest(difference, rank)
        error = (made.difference(CPU).reshape(shape) - difference).norm()
        torch.testing.assert_close(error, values[rank:].norm(), rtol=1e-3, atol=1e-4)
        assert made.rank == min(rank, len(values))
        assert made.up.dim() == made.down.dim() == len(shape)


def random(shape: torch.Size) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(len(shape)))


@pytest.fixture
def differences(checkpoint: Checkpoint) -> tuple[Checkpoint, dict[str, Tensor]]:
    """A model and a text encoder that are differences: zero, but for a few parameters of rank 2."""
    network, text = checkpoint.model.network, checkpoint.clip.networks["clip_l"]
    wanted = {name: random(network.get_parameter(name).shape) for name in (VECTOR, BIAS)}
    for name, shape in (
        (MATRIX, network.get_parameter(MATRIX).shape),
        (TEXT, text.get_parameter(TEXT).shape),
    ):
        wanted[name] = random(torch.Size((shape[0], 2))) @ random(torch.Size((2, shape[1]))) / 4
    kernel = network.get_parameter(KERNEL).shape
    wanted[KERNEL] = closest(random(kernel), 2).difference(CPU).reshape(kernel)

    def only(names: list[str], prefix: str = "") -> Patches:
        patches: dict[str, WeightPatch] = {
            f"{prefix}{name}": Adapted(Difference(wanted[name])) for name in names if name in wanted
        }
        nothing = Adapted(Difference(torch.zeros(1)))
        silenced = {f"{prefix}{name}": Entry(nothing, 0.0, 0.0) for name in names}
        return NO_PATCHES.with_entries(silenced).with_patches(patches)

    model = replace(checkpoint.model, patches=only([name for name, _ in network.named_parameters()]))
    clip = replace(checkpoint.clip, patches=only([name for name, _ in text.named_parameters()], "clip_l."))
    return replace(checkpoint, model=model, clip=clip), wanted


def extract(found: Checkpoint, residency: Residency, rank: int | None, biases: bool) -> dict[str, Tensor]:
    steps: list[tuple[int, int]] = []
    pending = extract_lora(
        found.model,
        found.clip,
        residency,
        rank=rank,
        biases=biases,
        progress=lambda done, total: steps.append((done, total)),
    )
    assert steps[-1][0] == steps[-1][1] == len(steps)
    return {name: tensor.make() for name, tensor in pending.items()}


@pytest.mark.parametrize("rank", [2, None])
def test_what_is_extracted_gives_the_difference_back(
    checkpoint: Checkpoint,
    differences: tuple[Checkpoint, dict[str, Tensor]],
    residency: Residency,
    rank: int | None,
) -> None:
    found, wanted = differences
    tensors = extract(found, residency, rank, biases=True)
    assert {tensor.dtype for tensor in tensors.values()} == {torch.float16}
    added = add_lora(
        parse_lora(tensors), checkpoint.model, checkpoint.clip, strength_model=1.0, strength_clip=1.0
    )
    assert added.left_out == ()
    assert added.clip is not None
    patches = {**dict.fromkeys(wanted, added.model.patches), TEXT: added.clip.patches.below("clip_l.")}
    assert len(added.model.patches) == len(wanted) - 1
    for name, difference in wanted.items():
        made = patches[name].apply(name, torch.zeros(difference.shape))
        torch.testing.assert_close(made, difference, rtol=5e-3, atol=1e-2)


def test_vectors_are_left_out_unless_asked_for(
    differences: tuple[Checkpoint, dict[str, Tensor]], residency: Residency
) -> None:
    tensors = extract(differences[0], residency, 1, biases=False)
    assert {name.rpartition(".lora_")[0] for name in tensors} == {
        f"diffusion_model.{MATRIX.removesuffix('.weight')}",
        f"diffusion_model.{KERNEL.removesuffix('.weight')}",
        "text_encoders.clip_l.transformer.text_model.encoder.layers.0.mlp.fc1",
    }


def test_factors_share_the_size_of_what_they_make() -> None:
    made = closest(torch.diag(torch.tensor([1e6, 1.0])), 1)
    assert isinstance(made, LowRank)
    assert float(made.up.abs().max()) == pytest.approx(float(made.down.abs().max()))
