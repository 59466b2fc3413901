from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from comfykit.errors import ModelFileError
from comfykit.families.hypernetworks import HypernetworkHook, add_hypernetwork
from comfykit.families.load import Checkpoint
from comfykit.models.hooks import AttentionInfo
from comfykit.weights.hypernetwork import Hypernetwork, Stage

INFO = AttentionInfo(torch.zeros(1), (0,), (8, 8))


def stages(seed: int, width: int = 6, *, norm: bool = False) -> tuple[Stage, ...]:
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    between = (draw(2 * width), draw(2 * width)) if norm else None
    return Stage(draw(2 * width, width), draw(2 * width), between), Stage(draw(width, 2 * width), draw(width))


def hook(activation: str | None, activate_output: bool = True, *, norm: bool = False) -> HypernetworkHook:
    network = Hypernetwork({6: (stages(1, norm=norm), stages(2, norm=norm))}, activation, activate_output)
    return HypernetworkHook(network, 0.5)


def vectors() -> Tensor:
    return torch.randn(1, 5, 6, generator=torch.Generator().manual_seed(3))


def test_keys_and_values_get_what_their_networks_make_of_them() -> None:
    x = vectors()
    q, k, v = hook(None)(x, x, 2 * x, INFO)
    assert q is x

    def through(x: Tensor, layers: tuple[Stage, ...]) -> Tensor:
        for stage in layers:
            x = F.linear(x, stage.weight, stage.bias)
        return x

    torch.testing.assert_close(k, x + 0.5 * through(x, stages(1)))
    torch.testing.assert_close(v, 2 * x + 0.5 * through(2 * x, stages(2)))


def test_activation_comes_before_the_norm_and_after_the_last_layer_only_if_said() -> None:
    x = vectors()
    first, second = stages(1, norm=True)
    assert first.norm is not None
    hidden = F.layer_norm(F.linear(x, first.weight, first.bias).relu(), (12,), *first.norm)
    out = F.linear(hidden, second.weight, second.bias)
    torch.testing.assert_close(hook("relu", False, norm=True)(x, x, x, INFO)[1], x + 0.5 * out)
    torch.testing.assert_close(hook("relu", True, norm=True)(x, x, x, INFO)[1], x + 0.5 * out.relu())


def test_other_widths_stay_and_types_are_followed() -> None:
    wide = torch.randn(1, 5, 8)
    assert hook(None)(wide, wide, wide, INFO)[1] is wide
    half = vectors().to(torch.bfloat16)
    assert hook("silu")(half, half, half, INFO)[1].dtype == torch.bfloat16


def test_both_attentions_of_a_copy_are_changed(checkpoint: Checkpoint) -> None:
    network = Hypernetwork({6: (stages(1), stages(2))}, "tanh", True)
    changed = add_hypernetwork(checkpoint.model, network, 1.0)
    assert len(changed.hooks.attn1.inputs) == len(changed.hooks.attn2.inputs) == 1
    assert not checkpoint.model.hooks.attn1.inputs


def test_an_activation_that_nobody_knows_is_named(checkpoint: Checkpoint) -> None:
    network = Hypernetwork({6: (stages(1), stages(2))}, "snake", True)
    with pytest.raises(ModelFileError, match="'snake'"):
        add_hypernetwork(checkpoint.model, network, 1.0)
