"""Filling networks from tensors: nothing copied, and every misfit in one sentence."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from comfykit.errors import ModelFileError
from comfykit.weights.load import build


class Small(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Linear(3, 2)
        self.b = nn.GroupNorm(2, 4)


class WithTable(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("table", torch.zeros(3), persistent=False)


def weights(dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    shapes = {"a.weight": (2, 3), "a.bias": (2,), "b.weight": (4,), "b.bias": (4,)}
    return {name: torch.randn(shape, generator=generator).to(dtype) for name, shape in shapes.items()}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_parameters_are_the_given_tensors(dtype: torch.dtype) -> None:
    given = weights(dtype)
    network = build(Small, given, what="it")
    assert not network.training
    for name, parameter in network.named_parameters():
        assert parameter.data_ptr() == given[name].data_ptr()
        assert parameter.dtype == dtype
        assert not parameter.requires_grad


def test_what_is_built_in_inference_mode_can_be_used_outside() -> None:
    given = weights()
    with torch.inference_mode():
        network = build(Small, given, what="it")
    assert not any(parameter.is_inference() for parameter in network.parameters())


@pytest.mark.parametrize(
    "name", ["position_ids", "x.embeddings.position_ids", "model_ema.decay", "loss.logvar", "betas", "v_pred"]
)
def test_leftovers_of_training_are_ignored(name: str) -> None:
    build(Small, {**weights(), name: torch.zeros(1)}, what="it")


def test_misfits_are_counted_and_named() -> None:
    given = weights()
    del given["a.bias"], given["b.bias"]
    given["a.weight"] = torch.zeros(5, 3)
    given |= {f"c.{n}": torch.zeros(1) for n in range(9)}
    with pytest.raises(ModelFileError) as caught:
        build(Small, given, what="the U-Net of x.safetensors")
    assert str(caught.value) == (
        "the U-Net of x.safetensors: tensors do not fit: 2 missing (a.bias, b.bias); "
        "9 unexpected (c.0, c.1, c.2, ...); 1 of another shape (a.weight (5x3, not 2x3))"
    )
    assert caught.value.hint


def test_a_buffer_that_no_file_fills_is_an_error() -> None:
    with pytest.raises(ModelFileError, match="it: table cannot come from a file"):
        build(WithTable, {}, what="it")
