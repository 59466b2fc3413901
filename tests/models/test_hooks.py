"""Hooks of the U-Net: where they are called, what they are told, and that nothing changes without them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from comfykit.models.control import ControlResiduals
from comfykit.models.hooks import NO_HOOKS, AttentionInfo, BlockInfo, CallInfo, UNetHooks
from comfykit.models.unet import UNet, UNetConfig

SD15 = UNetConfig(model_channels=32, context_dim=24)
SDXL = UNetConfig(
    model_channels=64,
    channel_mult=(1, 2, 4),
    num_res_blocks=(2, 2, 2),
    input_depths=(0, 0, 1, 1, 2, 2),
    middle_depth=2,
    output_depths=(2, 2, 2, 1, 1, 1, 0, 0, 0),
    context_dim=24,
    use_linear=True,
)
CALL = CallInfo(torch.tensor([3.0, 3.0]), (1, 0), (8, 16), {"name": "mine"})


@pytest.fixture(scope="module")
def unet() -> UNet:
    torch.manual_seed(0)
    return UNet(SD15).eval().requires_grad_(False)


def run(network: UNet, hooks: UNetHooks = NO_HOOKS, **more: Any) -> Tensor:
    torch.manual_seed(1)
    given = torch.randn(2, 4, 8, 16), torch.tensor([500.0, 500.0]), torch.randn(2, 7, 24)
    call = CALL if hooks is not NO_HOOKS else None
    return network(*given, hooks=hooks, call=call, **more)  # type: ignore[no-any-return]


def test_hooks_that_change_nothing_change_nothing(unet: UNet) -> None:
    hooks = (
        UNetHooks()
        .with_inputs("attn1", lambda q, k, v, info: (q, k, v))
        .with_inputs("attn2", lambda q, k, v, info: (q, k, v))
        .with_outputs("attn1", lambda out, info: out)
        .with_between(lambda x, info: x)
        .with_after_input(lambda h, info: h)
        .with_after_skip(lambda h, info: h)
        .with_after_middle(lambda h, info: h)
        .with_before_output(lambda h, skip, info: (h, skip))
    )
    assert torch.equal(run(unet, hooks), run(unet))


def test_hooks_need_to_know_the_call(unet: UNet) -> None:
    with pytest.raises(ValueError, match="about its call"):
        unet(torch.zeros(1, 4, 8, 8), torch.zeros(1), torch.zeros(1, 7, 24), hooks=UNetHooks())


def test_blocks_are_told_in_the_order_of_the_call(unet: UNet) -> None:
    told: list[tuple[str, str, int]] = []

    def note(place: str) -> Any:
        def hook(h: Tensor, info: BlockInfo) -> Tensor:
            assert (info.sides, info.latent_size, info.data["name"]) == ((1, 0), (8, 16), "mine")
            told.append((place, info.kind, info.number))
            return h

        return hook

    def join(h: Tensor, skip: Tensor, info: BlockInfo) -> tuple[Tensor, Tensor]:
        told.append(("join", info.kind, info.number))
        return h, skip

    hooks = UNetHooks().with_after_input(note("input")).with_after_skip(note("skip"))
    run(unet, hooks.with_after_middle(note("middle")).with_before_output(join))
    down = [(place, "input", number) for number in range(12) for place in ("input", "skip")]
    up = [("join", "output", number) for number in range(12)]
    assert told == [*down, ("middle", "middle", 0), *up]


def test_attention_is_told_where_it_is() -> None:
    network = UNet(SDXL).eval().requires_grad_(False)
    told: list[AttentionInfo] = []

    def note(out: Tensor, info: AttentionInfo) -> Tensor:
        assert out.shape == (2, info.size[0] * info.size[1], info.heads * info.dim_head)
        told.append(info)
        return out

    run(network, UNetHooks().with_outputs("attn1", note))
    places = [(info.kind, info.number, info.index, info.transformer) for info in told]
    assert places[:6] == [
        *[("input", 4, 0, 0), ("input", 5, 0, 1), ("input", 7, 0, 2), ("input", 7, 1, 2)],
        *[("input", 8, 0, 3), ("input", 8, 1, 3)],
    ]
    assert places[6:8] == [("middle", 0, 0, 4), ("middle", 0, 1, 4)]
    assert places[-1] == ("output", 5, 0, 10)
    assert {(info.number, info.size) for info in told if info.kind == "input"} == {
        *{(4, (4, 8)), (5, (4, 8)), (7, (2, 4)), (8, (2, 4))}
    }
    assert [(info.heads, info.dim_head) for info in told[:1]] == [(2, 64)]


@pytest.mark.parametrize("which", ["attn1", "attn2"])
def test_attention_is_replaced_between_its_projections(unet: UNet, which: Any) -> None:
    """Attention to a single token gives its values, so that averaging them in its place goes unnoticed."""
    called: list[tuple[str, int]] = []

    def values(q: Tensor, k: Tensor, v: Tensor, info: AttentionInfo) -> Tensor:
        called.append((info.kind, info.number))
        return v.mean(dim=1, keepdim=True).expand_as(q)

    run(unet, UNetHooks().with_replaced(which, ("middle", 0, None), values))
    run(unet, UNetHooks().with_replaced(which, ("middle", 0, 0), values))
    run(unet, UNetHooks().with_replaced(which, ("middle", 0, 1), values))
    assert called == [("middle", 0)] * 2

    x, t, context = torch.randn(2, 4, 8, 16), torch.zeros(2), torch.randn(2, 1, 24)
    place = ("middle", 0, None)
    hooks = UNetHooks().with_replaced("attn2", place, values)
    same = unet(x, t, context, hooks=hooks, call=CALL)
    torch.testing.assert_close(same, unet(x, t, context), rtol=1e-5, atol=1e-6)


def test_the_exact_place_counts_before_the_whole_block(unet: UNet) -> None:
    def zeros(q: Tensor, k: Tensor, v: Tensor, info: AttentionInfo) -> Tensor:
        return torch.zeros_like(q)

    def fail(q: Tensor, k: Tensor, v: Tensor, info: AttentionInfo) -> Tensor:
        raise AssertionError

    hooks = UNetHooks().with_replaced("attn1", ("middle", 0, 0), zeros)
    run(unet, hooks.with_replaced("attn1", ("middle", 0, None), fail))


def test_inputs_change_what_is_projected_in_the_order_they_were_added(unet: UNet) -> None:
    def shift(q: Tensor, k: Tensor, v: Tensor, info: AttentionInfo) -> tuple[Tensor, Tensor, Tensor]:
        return q, k, v + 1

    def double(q: Tensor, k: Tensor, v: Tensor, info: AttentionInfo) -> tuple[Tensor, Tensor, Tensor]:
        return q, k, v * 2

    shifted = UNetHooks().with_inputs("attn2", shift).with_inputs("attn2", double)
    doubled = UNetHooks().with_inputs("attn2", double).with_inputs("attn2", shift)
    assert not torch.allclose(run(unet, shifted), run(unet, doubled))


def test_a_changed_copy_leaves_the_original_alone(unet: UNet) -> None:
    first = UNetHooks().with_outputs("attn1", lambda out, info: 2 * out)
    before = run(unet, first)
    second = first.with_outputs("attn1", lambda out, info: 0 * out).with_data(other=1)
    assert not torch.equal(run(unet, second), before)
    assert torch.equal(run(unet, first), before)
    assert (first.data, second.data) == ({}, {"other": 1})


def test_features_and_skip_connections_are_changed_apart(unet: UNet) -> None:
    """What `after_skip` changes goes down and not across; zeroing either side of a join zeroes that side."""

    def zero_last(h: Tensor, info: BlockInfo) -> Tensor:
        return h * 0 if info.number == 11 else h

    seen: list[float] = []

    def join(h: Tensor, skip: Tensor, info: BlockInfo) -> tuple[Tensor, Tensor]:
        if info.number == 0:
            seen.append(float(skip.abs().sum()))
        return h, skip

    run(unet, UNetHooks().with_after_skip(zero_last).with_before_output(join))
    run(unet, UNetHooks().with_after_input(zero_last).with_before_output(join))
    assert seen[0] > 0
    assert seen[1] == 0


def test_residuals_of_features_that_were_shrunk_are_left_out(unet: UNet) -> None:
    def shrink(h: Tensor, info: BlockInfo) -> Tensor:
        return h[..., ::2, ::2] if info.number == 3 else h

    def enlarge(h: Tensor, skip: Tensor, info: BlockInfo) -> tuple[Tensor, Tensor]:
        return torch.nn.functional.interpolate(h, size=skip.shape[2:]), skip

    hooks = UNetHooks().with_after_skip(shrink).with_before_output(enlarge)
    wide = ControlResiduals(tuple([None] * 5 + [torch.ones(2, 64, 4, 8)]), torch.ones(2, 128, 1, 2))
    assert torch.equal(run(unet, hooks, control=wide), run(unet, hooks))
    first = ControlResiduals((torch.ones(2, 32, 8, 16),))
    assert not torch.equal(run(unet, hooks, control=first), run(unet, hooks))


def test_rows_of_a_side() -> None:
    call = CallInfo(torch.zeros(6), (1, 0, 0), (8, 8))
    assert [call.rows_of(side) for side in (0, 1, 2)] == [slice(2, 4), slice(0, 2), None]


def test_half_precision_goes_through(unet: UNet) -> None:
    torch.manual_seed(0)
    half = UNet(SD15).eval().requires_grad_(False).to(torch.bfloat16)
    out = run(half, UNetHooks().with_outputs("attn1", lambda out, info: out))
    assert torch.equal(out, run(half))
