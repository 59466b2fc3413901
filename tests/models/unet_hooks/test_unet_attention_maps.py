from __future__ import annotations

import torch
from torch import Tensor

from comfykit.models.attention import attention
from comfykit.models.hooks import AttentionInfo, CallInfo, UNetHooks
from comfykit.models.unet import UNet, UNetConfig
from comfykit.models.unet_hooks.attention_maps import (
    attention_map,
    with_identity_in_middle,
    with_map_noted,
)


def network() -> UNet:
    torch.manual_seed(0)
    return UNet(UNetConfig(model_channels=32, context_dim=24)).eval().requires_grad_(False)


def run(unet: UNet, hooks: UNetHooks, sides: tuple[int, ...] = (0, 1)) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    x, context = torch.randn(2, 4, 16, 24, generator=generator), torch.randn(2, 7, 24, generator=generator)
    call = CallInfo(torch.full((2,), 5.0), sides, (16, 24))
    return unet(x, torch.full((2,), 500.0), context, hooks=hooks, call=call)  # type: ignore[no-any-return]


def test_the_map_times_the_values_is_attention() -> None:
    generator = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(2, tokens, 12, generator=generator) for tokens in (5, 7, 7))
    values = v.reshape(2, 7, 3, 4).transpose(1, 2)
    found = (attention_map(q, k, 3) @ values).transpose(1, 2).flatten(2)
    torch.testing.assert_close(found, attention(q, k, v, 3), rtol=1e-4, atol=1e-5)


def test_noting_a_map_changes_nothing_and_tells_the_side_that_was_asked_for() -> None:
    unet = network()
    noted: list[tuple[Tensor, AttentionInfo]] = []
    hooks = with_map_noted(UNetHooks(), 1, lambda found, info: noted.append((found, info)))
    same = run(unet, hooks)
    torch.testing.assert_close(same, run(unet, UNetHooks()), rtol=1e-4, atol=1e-5)
    [(found, info)] = noted
    assert found.shape == (1, 8, 6, 6)
    torch.testing.assert_close(found.sum(dim=-1), torch.ones(1, 8, 6))
    assert (info.kind, info.number, info.size) == ("middle", 0, (2, 3))
    run(unet, hooks, sides=(0, 0))
    assert len(noted) == 1


def test_identity_leaves_the_middle_to_its_values() -> None:
    unet = network()
    plain = run(unet, UNetHooks())
    found = run(unet, with_identity_in_middle(UNetHooks()))
    assert not torch.allclose(found, plain)
    # Queries no longer matter there.
    layer = unet.middle_block[1].transformer_blocks[0].attn1  # type: ignore[index,union-attr]
    layer.to_q.weight.zero_()  # type: ignore[union-attr]
    assert torch.equal(run(unet, with_identity_in_middle(UNetHooks())), found)
