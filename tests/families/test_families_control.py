from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from comfykit.errors import ModelFileError, UsageError
from comfykit.families.conditioning import from_link
from comfykit.families.control import Control, ControlModel, ControlRun, check_controls, lend_controls
from comfykit.families.family import Scene
from comfykit.families.guiders import CFGGuider, sample
from comfykit.families.load import Checkpoint
from comfykit.memory import Residency
from comfykit.models.control import ControlResiduals
from comfykit.models.controlnet import ControlNet, ControlNetConfig
from comfykit.models.controlnet_union import UnionConfig
from comfykit.models.t2i_adapter import T2IAdapter, T2IAdapterConfig
from comfykit.sampling.denoiser import Evaluation
from comfykit.sampling.guidance import POSITIVE
from comfykit.sampling.latent_noise import RandomNoise
from comfykit.sampling.samplers import find_sampler
from comfykit.sampling.schedulers import make_sigmas

HINT_WIDTHS = (4, 4, 8, 8, 8, 8, 16)
HINT = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(5))


class Counted(ControlNet):
    """A ControlNet that counts how often it reads a hint and how often it is evaluated."""

    def __init__(self, config: ControlNetConfig) -> None:
        super().__init__(config)
        self.read, self.evaluated = 0, 0

    def read_hint(self, hint: Tensor, kind: int | None = None) -> Tensor:
        self.read += 1
        return super().read_hint(hint, kind)

    def forward(self, *given: Any, **named: Any) -> ControlResiduals:
        self.evaluated += 1
        return super().forward(*given, **named)


def control_net(checkpoint: Checkpoint, seed: int = 0, **changes: Any) -> Counted:
    """A small random ControlNet that fits the checkpoint, or with another way down."""
    encoder = replace(checkpoint.model.network.config, **changes)
    network = Counted(ControlNetConfig(encoder, hint_widths=HINT_WIDTHS))
    generator = torch.Generator().manual_seed(seed)
    for tensor in network.parameters():
        noise = torch.randn(tensor.shape, generator=generator)
        tensor.data = noise / tensor[0].numel() ** 0.5 if tensor.dim() > 1 else 1.0 + 0.1 * noise
    return network.eval().requires_grad_(False)


@pytest.fixture
def network(checkpoint: Checkpoint) -> Counted:
    return control_net(checkpoint)


@pytest.fixture
def control(network: Counted) -> Control:
    return Control(ControlModel("net.safetensors", network), HINT)


def evaluation(
    checkpoint: Checkpoint, controls: Sequence[Control], *, rows: int = 1, sides: int = 1, sigma: float = 5.0
) -> Evaluation:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(rows * sides, 4, 8, 8, generator=generator)
    context = torch.randn(rows * sides, 7, checkpoint.model.network.config.context_dim, generator=generator)
    levels = torch.full((rows * sides,), sigma)
    return Evaluation(x, levels, context, {}, tuple(range(sides)), tuple(controls))


def residuals(checkpoint: Checkpoint, residency: Residency, call: Evaluation) -> ControlResiduals | None:
    model = checkpoint.model
    run = ControlRun(model.network, model.levels, residency, torch.float32)
    return run(call, call.x, model.levels.timestep(call.sigma))


def all_of(found: ControlResiduals | None) -> list[Tensor]:
    assert found is not None
    tensors = [one for one in (*found.output, found.middle) if one is not None]
    assert len(tensors) == len(found.output) + 1
    return tensors


def assert_same(found: Sequence[Tensor], expected: Sequence[Tensor]) -> None:
    torch.testing.assert_close(list(found), list(expected), rtol=1e-4, atol=1e-4)


def test_residuals_are_the_network_s_times_strength(
    checkpoint: Checkpoint, residency: Residency, control: Control, network: Counted
) -> None:
    call = evaluation(checkpoint, [replace(control, strength=0.5)])
    steps = checkpoint.model.levels.timestep(call.sigma)
    plain = network(call.x, network.read_hint(HINT), steps, call.context)
    assert_same(all_of(residuals(checkpoint, residency, call)), [0.5 * one for one in all_of(plain)])


def test_no_strength_is_no_control(checkpoint: Checkpoint, residency: Residency, control: Control) -> None:
    predict = checkpoint.model.predictor(residency)
    without = predict(evaluation(checkpoint, []))
    torch.testing.assert_close(predict(evaluation(checkpoint, [replace(control, strength=0.0)])), without)
    assert not torch.allclose(predict(evaluation(checkpoint, [control])), without, atol=1e-2)


def test_controls_are_summed_in_any_order(
    checkpoint: Checkpoint, residency: Residency, control: Control
) -> None:
    other = Control(ControlModel("other.safetensors", control_net(checkpoint, 1)), HINT.flip(-1))
    ones = [
        all_of(residuals(checkpoint, residency, evaluation(checkpoint, [one]))) for one in (control, other)
    ]
    both = all_of(residuals(checkpoint, residency, evaluation(checkpoint, [control, other])))
    assert_same(both, [a + b for a, b in zip(*ones, strict=True)])
    assert_same(all_of(residuals(checkpoint, residency, evaluation(checkpoint, [other, control]))), both)


def test_outside_its_range_it_is_not_evaluated(
    checkpoint: Checkpoint, residency: Residency, control: Control, network: Counted
) -> None:
    ranged = replace(control, start_percent=0.2, end_percent=0.6)
    start, end = (checkpoint.model.levels.percent_to_sigma(percent) for percent in (0.2, 0.6))
    for sigma in (start * 1.01, end * 0.99):
        assert residuals(checkpoint, residency, evaluation(checkpoint, [ranged], sigma=sigma)) is None
    assert network.evaluated == 0
    for sigma in (start * 0.99, end * 1.01):
        assert residuals(checkpoint, residency, evaluation(checkpoint, [ranged], sigma=sigma)) is not None
    assert network.evaluated == 2


def test_pooled_residuals_are_the_same_everywhere(
    checkpoint: Checkpoint, residency: Residency, control: Control
) -> None:
    plain = all_of(residuals(checkpoint, residency, evaluation(checkpoint, [control])))
    pooled = replace(control, model=replace(control.model, pooled=True))
    found = all_of(residuals(checkpoint, residency, evaluation(checkpoint, [pooled])))
    assert_same(found, [one.mean((2, 3), keepdim=True).expand_as(one) for one in plain])


def test_several_hints_are_for_the_pictures_of_every_side(
    checkpoint: Checkpoint, residency: Residency, control: Control
) -> None:
    hints = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(6))
    call = evaluation(checkpoint, [replace(control, hint=hints)], rows=3, sides=2)
    found = all_of(residuals(checkpoint, residency, call))[-1]
    for row, hint in enumerate((0, 1, 0, 0, 1, 0)):
        single = replace(
            call,
            x=call.x[row : row + 1],
            sigma=call.sigma[:1],
            context=call.context[row : row + 1],
            sides=(0,),
            controls=(replace(control, hint=hints[hint : hint + 1]),),
        )
        assert_same([found[row : row + 1]], all_of(residuals(checkpoint, residency, single))[-1:])


def test_more_hints_than_pictures_leave_the_last_ones_out(
    checkpoint: Checkpoint, residency: Residency, control: Control
) -> None:
    many = replace(control, hint=torch.cat((HINT, HINT.flip(-1), HINT.flip(-2))))
    found = all_of(residuals(checkpoint, residency, evaluation(checkpoint, [many])))
    assert_same(found, all_of(residuals(checkpoint, residency, evaluation(checkpoint, [control]))))


def test_hints_are_cropped_and_resized_to_the_latent(
    checkpoint: Checkpoint, residency: Residency, control: Control
) -> None:
    wide = torch.zeros(1, 4, 32, 100)
    wide[..., 34:66] = torch.cat((HINT[..., ::2, ::2], torch.ones(1, 1, 32, 32)), dim=1)
    enlarged = HINT[..., ::2, ::2].repeat_interleave(2, dim=-1).repeat_interleave(2, dim=-2)
    found, expected = (
        all_of(residuals(checkpoint, residency, evaluation(checkpoint, [replace(control, hint=hint)])))
        for hint in (wide, enlarged)
    )
    assert_same(found, expected)


def test_a_hint_is_read_once_a_size(
    checkpoint: Checkpoint, residency: Residency, control: Control, network: Counted
) -> None:
    model = checkpoint.model
    run = ControlRun(model.network, model.levels, residency, torch.float32)
    call = evaluation(checkpoint, [control])
    part = replace(call, x=call.x[..., :5])
    for one in (call, part, call, part):
        found = run(one, one.x, model.levels.timestep(one.sigma))
        assert found is not None
        assert found.output[0] is not None
        assert found.output[0].shape[-2:] == one.x.shape[-2:]
    assert (network.read, network.evaluated) == (2, 4)


def sampled(checkpoint: Checkpoint, residency: Residency, positive: Any, negative: Any) -> Tensor:
    empty = torch.zeros(1, 4, 9, 13)
    return sample(
        CFGGuider(checkpoint.model, positive, negative, 4.0),
        residency,
        samples=empty,
        noise=RandomNoise(3).generate_noise({"samples": empty}),
        sampler=find_sampler("euler"),
        sigmas=make_sigmas(checkpoint.model.levels, "normal", 3),
        seed=3,
    ).samples


def test_both_sides_share_a_call(
    checkpoint: Checkpoint, residency: Residency, control: Control, network: Counted
) -> None:
    width = checkpoint.model.network.config.context_dim
    positive = [[torch.ones(1, 7, width), {"controls": (control,)}]]
    negative = [[torch.zeros(1, 7, width), {"controls": (control,)}]]
    found = sampled(checkpoint, residency, positive, negative)
    assert (network.read, network.evaluated) == (1, 3)
    alone = sampled(checkpoint, residency, positive, [[torch.zeros(1, 7, width), {}]])
    assert bool(found.isfinite().all())
    assert not torch.allclose(found, alone, atol=1e-3)


def scene(checkpoint: Checkpoint) -> Scene:
    latent = torch.zeros(1, 4, 8, 8)
    model = checkpoint.model
    return Scene(latent, latent, None, model.network.config, model.family.latent_format)


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"model_channels": 64}, "widths of its blocks"),
        ({"channel_mult": (1, 2, 4)}, "widths of its blocks"),
        ({"context_dim": 999}, "width of prompts: 999"),
        ({"adm_in_channels": 64}, "width of y: 64, not None"),
        ({"in_channels": 9}, "latent channels: 9, not 4"),
    ],
)
def test_a_network_for_another_model_is_refused_before_sampling(
    checkpoint: Checkpoint, changes: dict[str, Any], what: str
) -> None:
    ways = len(changes.get("channel_mult", (0,) * 4))
    changes = changes if ways == 4 else {**changes, "num_res_blocks": (2, 2, 2), "input_depths": (1,) * 6}
    control = Control(ControlModel("net.safetensors", control_net(checkpoint, **changes)), HINT)
    embedding = torch.zeros(1, 7, checkpoint.model.network.config.context_dim)
    with pytest.raises(ModelFileError, match=what):
        from_link([[embedding, {"controls": (control,)}]], checkpoint.model, POSITIVE, scene(checkpoint))


@pytest.mark.parametrize("hint", [torch.zeros(1, 1, 8, 8), torch.zeros(0, 3, 8, 8)])
def test_a_hint_that_cannot_be_read_is_refused(
    checkpoint: Checkpoint, control: Control, hint: Tensor
) -> None:
    with pytest.raises(UsageError, match=r"net\.safetensors"):
        check_controls([replace(control, hint=hint)], checkpoint.model.network, 4)


def test_types_of_hints_are_for_networks_that_know_them(checkpoint: Checkpoint, network: Counted) -> None:
    plain = ControlModel("net.safetensors", network)
    assert plain.with_kind(3).kind is None
    config = ControlNetConfig(checkpoint.model.network.config, union=UnionConfig(6, 8, 1))
    union = ControlModel("union.safetensors", ControlNet(config))
    assert union.with_kind(5).kind == 5
    assert union.with_kind(5).with_kind(None).kind is None
    with pytest.raises(UsageError, match="6 types of hints"):
        union.with_kind(6)


def adapter(checkpoint: Checkpoint, **changes: Any) -> Control:
    """A small random adapter that fits the checkpoint, or another."""
    unet = checkpoint.model.network.config
    channels = tuple(unet.model_channels * mult for mult in unet.channel_mult)
    torch.manual_seed(0)
    network = T2IAdapter(T2IAdapterConfig(**{"channels": channels, **changes})).requires_grad_(False)
    return Control(ControlModel("adapter.safetensors", network), HINT)


def test_an_adapter_s_features_are_the_same_at_every_level(
    checkpoint: Checkpoint, residency: Residency
) -> None:
    control = adapter(checkpoint)
    found = residuals(
        checkpoint, residency, evaluation(checkpoint, [replace(control, strength=0.5)], sides=2)
    )
    late = residuals(checkpoint, residency, evaluation(checkpoint, [control], sigma=0.1))
    assert found is not None
    assert late is not None
    assert [index for index, one in enumerate(found.input) if one is not None] == [2, 5, 8, 11]
    assert_same(
        [2.0 * one for one in found.input if one is not None], [one for one in late.input if one is not None]
    )


def test_an_adapter_acts_with_a_controlnet(
    checkpoint: Checkpoint, residency: Residency, control: Control
) -> None:
    predict = checkpoint.model.predictor(residency)
    ones = [predict(evaluation(checkpoint, [one], sides=2)) for one in (control, adapter(checkpoint))]
    both = predict(evaluation(checkpoint, [control, adapter(checkpoint)], sides=2))
    assert not any(torch.allclose(both, one, atol=1e-3) for one in ones)
    assert both.shape == ones[0].shape


def test_an_adapter_for_another_model_is_refused(checkpoint: Checkpoint) -> None:
    for other in (adapter(checkpoint, channels=(64, 64, 64, 64)), adapter(checkpoint, large=True)):
        with pytest.raises(
            ModelFileError, match=r"adapter\.safetensors does not fit the model: (widths|levels)"
        ):
            check_controls([other], checkpoint.model.network, 4)


def entry(name: str, **options: Any) -> list[Any]:
    return [name, options]


def described(side: Sequence[Sequence[Any]]) -> list[tuple[str, Any]]:
    return [(embedding, options.get("controls")) for embedding, options in side]


def test_lent_controls_go_to_the_negative_side_in_turn() -> None:
    positive = [
        entry("a", controls=(1,), control_apply_to_uncond=True),
        entry("b", controls=(2,), control_apply_to_uncond=False),
        entry("c", controls=(3,), control_apply_to_uncond=True, area=(8, 8, 0, 0)),
        entry("d", controls=(4, 5), control_apply_to_uncond=True),
    ]
    assert described(lend_controls(positive, [entry("x", strength=2.0)])) == [("x", (1,)), ("x", (4, 5))]
    two = [entry("x", area=(8, 8, 0, 0)), entry("y"), entry("z"), entry("w")]
    expected = [("x", None), ("y", (1,)), ("z", (4, 5)), ("w", None)]
    assert described(lend_controls(positive, two)) == expected


def test_nothing_is_lent_where_nothing_is_meant_to_be() -> None:
    positive = [entry("a", controls=(1,), control_apply_to_uncond=True)]
    own = [entry("x"), entry("y", controls=(9,))]
    assert lend_controls(positive, own) is own
    plain = [entry("x")]
    assert lend_controls([entry("a", controls=(1,))], plain) is plain
    assert lend_controls(positive, []) == []
    bounded = [entry("x", mask=torch.ones(1, 8, 8), set_area_to_bounds=True)]
    assert lend_controls(positive, bounded) is bounded


def test_what_is_lent_is_what_both_would_have(
    checkpoint: Checkpoint, residency: Residency, control: Control
) -> None:
    width = checkpoint.model.network.config.context_dim
    ones, zeros = torch.ones(1, 7, width), torch.zeros(1, 7, width)
    lent = [[ones, {"controls": (control,), "control_apply_to_uncond": True}]]
    both = [[zeros, {"controls": (control,)}]]
    found = sampled(checkpoint, residency, lent, [[zeros, {}]])
    torch.testing.assert_close(found, sampled(checkpoint, residency, lent, both))


def test_a_control_for_all_of_the_schedule_has_no_range(
    checkpoint: Checkpoint, residency: Residency, control: Control
) -> None:
    for sigma in (1e-6, 1e6):
        assert residuals(checkpoint, residency, evaluation(checkpoint, [control], sigma=sigma)) is not None
