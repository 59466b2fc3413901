"""LoRA files of every tool, sorted into patches."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from comfykit.weights.adapters import Adapted, Difference, Hadamard, Kronecker, LowRank, Replaced
from comfykit.weights.lora import parse_lora

UP, DOWN = torch.ones(6, 2), torch.ones(2, 5)


@pytest.mark.parametrize(
    ("up", "down", "layer"),
    [
        ("lora_unet_x.lora_up.weight", "lora_unet_x.lora_down.weight", "lora_unet_x"),
        ("unet.x.lora.up.weight", "unet.x.lora.down.weight", "unet.x"),
        ("unet.x.processor.to_q_lora.up.weight", "unet.x.processor.to_q_lora.down.weight", None),
        ("te.x.lora_linear_layer.up.weight", "te.x.lora_linear_layer.down.weight", "te.x"),
        ("unet.x.lora_B.weight", "unet.x.lora_A.weight", "unet.x"),
        ("unet.x.lora_B.default.weight", "unet.x.lora_A.default.weight", "unet.x"),
        ("x.lora_B", "x.lora_A", "x"),
    ],
)
def test_low_rank_in_the_words_of_every_tool(up: str, down: str, layer: str | None) -> None:
    lora = parse_lora({up: UP, down: DOWN})
    assert list(lora.layers) == [layer or "unet.x.processor.to_q"]
    assert not lora.unknown
    (found,) = lora.layers.values()
    assert isinstance(found.weight, Adapted)
    assert isinstance(found.weight.adapter, LowRank)
    assert found.weight.adapter.up is UP
    assert found.weight.adapter.down is DOWN


def names(prefix: str, *parts: str) -> dict[str, Tensor]:
    return {f"{prefix}.{part}": torch.ones(2, 2) for part in parts}


@pytest.mark.parametrize(
    ("parts", "adapter"),
    [
        (("hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b"), Hadamard),
        (("hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b", "hada_t1", "hada_t2"), Hadamard),
        (("lokr_w1", "lokr_w2"), Kronecker),
        (("lokr_w1", "lokr_w2_a", "lokr_w2_b"), Kronecker),
        (("lokr_w1_a", "lokr_w1_b", "lokr_w2_a", "lokr_w2_b", "lokr_t2"), Kronecker),
        (("diff",), Difference),
        (("w_norm",), Difference),
        (("lora_up.weight", "lora_mid.weight", "lora_down.weight"), LowRank),
    ],
)
def test_the_kind_follows_from_the_parts(parts: tuple[str, ...], adapter: type) -> None:
    lora = parse_lora({**names("layer", *parts), "layer.alpha": torch.tensor(3.0)})
    weight = lora.layers["layer"].weight
    assert isinstance(weight, Adapted)
    assert isinstance(weight.adapter, adapter)
    assert weight.alpha == 3.0
    assert not lora.unknown


def test_biases_norms_and_replaced_weights() -> None:
    lora = parse_lora({**names("a", "diff", "diff_b"), **names("b", "b_norm"), **names("c", "set_weight")})
    assert lora.layers["a"].weight is not None
    assert lora.layers["a"].bias is not None
    assert lora.layers["b"].weight is None
    assert lora.layers["b"].bias is not None
    assert isinstance(lora.layers["c"].weight, Replaced)


def test_dora_scales_by_either_name() -> None:
    for name in ("dora_scale", "lora_magnitude_vector", "lora_magnitude_vector.weight"):
        parts = {"x.lora_up.weight": UP, "x.lora_down.weight": DOWN, f"x.{name}": torch.ones(6)}
        weight = parse_lora(parts).layers["x"].weight
        assert isinstance(weight, Adapted)
        assert weight.dora_scale is not None


def test_what_nobody_understands_is_kept_in_view() -> None:
    lora = parse_lora(
        {"x.oft_blocks": UP, "y.lora_up.weight": UP, "z.lora_up.weight": UP, "z.lora_down.weight": DOWN}
    )
    assert list(lora.layers) == ["z"]
    assert lora.unknown == ("x.oft_blocks", "y (up)")
