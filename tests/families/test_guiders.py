from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from comfykit.errors import UsageError
from comfykit.families.conditioning import to_link
from comfykit.families.guiders import BasicGuider, CFGGuider, Guider, fit_channels, sample
from comfykit.families.load import Checkpoint
from comfykit.memory import Residency
from comfykit.sampling.denoiser import StepInfo
from comfykit.sampling.latent_noise import RandomNoise
from comfykit.sampling.samplers import find_sampler
from comfykit.sampling.schedulers import make_sigmas

EMPTY = torch.zeros(1, 4, 8, 8)


def prompt(checkpoint: Checkpoint, residency: Residency, text: str) -> list[list[Any]]:
    return to_link(checkpoint.clip.encode(text, residency))


@pytest.fixture
def guider(checkpoint: Checkpoint, residency: Residency) -> CFGGuider:
    fox, blur = prompt(checkpoint, residency, "a fox"), prompt(checkpoint, residency, "blurry")
    return CFGGuider(checkpoint.model, fox, blur, 5.0)


def run(guider: Guider, residency: Residency, **changes: Any) -> torch.Tensor:
    given: dict[str, Any] = {
        "samples": EMPTY,
        "noise": RandomNoise(3).generate_noise({"samples": EMPTY}),
        "sampler": find_sampler("euler"),
        "sigmas": make_sigmas(guider.model.levels, "normal", 3),
        "seed": 3,
    }
    return sample(guider, residency, **{**given, **changes}).samples


def test_a_latent_is_sampled_in_the_scale_of_the_vae(guider: CFGGuider, residency: Residency) -> None:
    found = run(guider, residency)
    assert found.shape == EMPTY.shape
    assert bool(found.isfinite().all())
    without_steps = run(guider, residency, samples=torch.ones_like(EMPTY), sigmas=torch.empty(0))
    torch.testing.assert_close(without_steps, torch.ones_like(EMPTY))


def test_the_prompt_matters_and_the_negative_one_only_with_guidance(
    guider: CFGGuider, checkpoint: Checkpoint, residency: Residency
) -> None:
    other = prompt(checkpoint, residency, "a house")
    assert not torch.equal(run(guider, residency), run(replace(guider, positive=other), residency))
    assert not torch.equal(run(guider, residency), run(replace(guider, negative=other), residency))
    alone = replace(guider, cfg=1.0)
    assert torch.equal(run(alone, residency), run(replace(alone, negative=other), residency))
    assert torch.equal(run(alone, residency), run(BasicGuider(guider.model, guider.positive), residency))


def test_what_a_mask_leaves_out_stays(guider: CFGGuider, residency: Residency) -> None:
    latent = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(2))
    mask = torch.zeros(1, 64, 64)
    mask[..., 32:] = 1.0
    found = run(guider, residency, samples=latent, mask=mask)
    torch.testing.assert_close(found[..., :3], latent[..., :3], atol=1e-4, rtol=0)
    assert not torch.allclose(found[..., 5:], latent[..., 5:], atol=0.1)


def test_a_range_of_the_schedule_counts_only_there(
    guider: CFGGuider, checkpoint: Checkpoint, residency: Residency
) -> None:
    house = prompt(checkpoint, residency, "a house")[0][0]
    fox, options = guider.positive[0]
    both = [
        [fox, {**options, "start_percent": 0.0, "end_percent": 1.0}],
        [house, {**options, "start_percent": 1.0, "end_percent": 1.0}],
    ]
    torch.testing.assert_close(run(replace(guider, positive=both), residency), run(guider, residency))
    late = [[fox, {**options, "end_percent": 0.5}], [house, {**options, "start_percent": 0.5}]]
    assert not torch.equal(run(replace(guider, positive=late), residency), run(guider, residency))


def test_an_area_outside_the_latent_is_named(guider: CFGGuider, residency: Residency) -> None:
    embedding, options = guider.positive[0]
    outside = [[embedding, {**options, "area": (4, 4, 0, 20)}]]
    with pytest.raises(UsageError, match="outside the latent"):
        run(replace(guider, positive=outside), residency)


def test_every_step_is_told(guider: CFGGuider, residency: Residency) -> None:
    told: list[StepInfo] = []
    run(guider, residency, callback=told.append)
    assert [(info.step, info.total) for info in told] == [(0, 3), (1, 3), (2, 3)]


def test_an_empty_latent_takes_the_channels_of_the_model() -> None:
    assert fit_channels(torch.zeros(2, 4, 3, 3), 16).shape == (2, 16, 3, 3)
    full = torch.ones(2, 4, 3, 3)
    assert fit_channels(full, 16) is full
