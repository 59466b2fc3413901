from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from comfykit.errors import UsageError
from comfykit.sampling.conditioning import Cond
from comfykit.sampling.denoiser import Evaluation, StepInfo
from comfykit.sampling.guidance import GuidedDenoiser
from comfykit.sampling.noise import initial_noise
from comfykit.sampling.noise_levels import NoiseLevels, scaled_linear_levels
from comfykit.sampling.parametrization import EpsPrediction
from comfykit.sampling.sample import cut_sigmas, run_sampler
from comfykit.sampling.samplers import SAMPLERS
from comfykit.sampling.schedulers import make_sigmas

LEVELS = scaled_linear_levels()
LATENT = torch.zeros(1, 4, 8, 8)
PROMPT = [Cond(torch.full((1, 77, 8), 2.0))]
NOTHING = [Cond(torch.zeros(1, 77, 8))]


def shrink(x: Tensor, sigma: Tensor) -> Tensor:
    """The best prediction for data that is normal with variance 1."""
    return x / (1 + sigma.reshape(-1, 1, 1, 1) ** 2)


class Shrink:
    """`shrink`, with another prediction on the negative side."""

    def __call__(self, x: Tensor, sigma: Tensor) -> Tensor:
        return shrink(x, sigma)

    def both(self, x: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
        return shrink(x, sigma), 0.9 * shrink(x, sigma)


STOPS_ABOVE_ZERO = {"uni_pc", "uni_pc_bh2", "dpm_fast", "dpm_adaptive"}


def run(denoiser: Any = None, **changes: Any) -> Tensor:
    given: dict[str, Any] = {
        "levels": LEVELS,
        "parametrization": EpsPrediction(),
        "latent": LATENT,
        "noise": initial_noise(LATENT, 5),
        "sigmas": make_sigmas(LEVELS, "karras", 6),
        "sampler": "euler",
        "seed": 5,
    }
    return run_sampler(denoiser or Shrink(), **{**given, **changes})


def first_state(**changes: Any) -> Tensor:
    told: list[StepInfo] = []
    run(callback=told.append, **changes)
    return told[0].x


def test_guidance_leads_the_run() -> None:
    def predict(call: Evaluation) -> Tensor:
        return torch.zeros_like(call.x) + call.context.mean(dim=(1, 2)).reshape(-1, 1, 1, 1)

    found = run(GuidedDenoiser(predict, PROMPT, NOTHING, 3.0), sampler="dpmpp_2m")
    torch.testing.assert_close(found, torch.full_like(LATENT, 6.0))


def test_a_mask_rule_decides_at_each_level() -> None:
    latent = torch.full_like(LATENT, 0.3)

    def below_one(sigma: Tensor, mask: Tensor, *, sigmas: Tensor, levels: NoiseLevels) -> Tensor:
        assert levels is LEVELS
        assert float(sigma[0]) in sigmas
        return mask if float(sigma[0]) < 1 else torch.ones_like(mask)

    free = run(latent=latent, mask=torch.ones(1, 64, 64))
    late = run(latent=latent, mask=torch.zeros(1, 64, 64), mask_rule=below_one)
    kept = run(latent=latent, mask=torch.zeros(1, 64, 64))
    torch.testing.assert_close(late, kept, atol=1e-5, rtol=0)
    assert not torch.allclose(free, kept)


def test_a_run_from_the_largest_level_begins_with_noise_of_variance_of_noise_and_data() -> None:
    s = LEVELS.sigma_max
    noise = initial_noise(LATENT, 5)
    torch.testing.assert_close(first_state(), noise * (1 + s**2) ** 0.5)
    above = torch.tensor([20.0, 1.0, 0.0])
    torch.testing.assert_close(first_state(sigmas=above), noise * 401**0.5)


def test_a_run_from_below_it_begins_with_the_latent_under_that_noise() -> None:
    latent = torch.full_like(LATENT, 0.3)
    sigmas = make_sigmas(LEVELS, "karras", 6, denoise=0.5)
    expected = initial_noise(LATENT, 5) * sigmas[0] + 0.3
    torch.testing.assert_close(first_state(latent=latent, sigmas=sigmas), expected)


@pytest.mark.parametrize("sigmas", [torch.empty(0), torch.tensor([3.0])])
def test_without_a_step_to_do_the_latent_stays_as_it_is(sigmas: Tensor) -> None:
    assert run(sigmas=sigmas) is LATENT


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_sampler_repeats_itself_and_stays_finite(sampler: str) -> None:
    sigmas = make_sigmas(LEVELS, "karras", 6, sampler=sampler)
    first = run(sampler=sampler, sigmas=sigmas)
    assert first.shape == LATENT.shape
    assert bool(first.isfinite().all())
    assert torch.equal(run(sampler=sampler, sigmas=sigmas), first)


@pytest.mark.parametrize("sampler", sorted(SAMPLERS.keys() - STOPS_ABOVE_ZERO))
def test_what_the_mask_leaves_out_is_kept(sampler: str) -> None:
    latent = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(3))
    mask = torch.zeros(1, 64, 64)
    mask[:, :, 32:] = 1.0
    found = run(latent=latent, mask=mask, sampler=sampler)
    torch.testing.assert_close(found[..., :3], latent[..., :3], atol=1e-5, rtol=0)
    assert float((found[..., 5:] - latent[..., 5:]).abs().mean()) > 0.1


def test_steps_to_zero_that_take_the_prediction_keep_the_latent_to_the_last_bit() -> None:
    latent = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(3))
    mask = torch.zeros(1, 1, 8, 8)
    mask[..., 4:] = 1.0
    found = run(latent=latent, mask=mask, sampler="dpmpp_2m")
    assert torch.equal(found[..., :4], latent[..., :4])


def test_ddim_noises_what_the_mask_leaves_out_from_the_next_seed() -> None:
    seen: dict[str, Tensor] = {}
    mask = torch.zeros(1, 1, 8, 8)
    for sampler in ("euler", "ddim"):

        def first_input(x: Tensor, sigma: Tensor, sampler: str = sampler) -> Tensor:
            seen.setdefault(sampler, x)
            return shrink(x, sigma)

        run(first_input, mask=mask, sampler=sampler)
    torch.testing.assert_close(seen["euler"], initial_noise(LATENT, 5) * LEVELS.sigma_max)
    torch.testing.assert_close(seen["ddim"], initial_noise(LATENT, 6) * LEVELS.sigma_max)
    assert torch.equal(run(sampler="ddim"), run(sampler="euler"))


def test_a_run_cut_in_two_ends_where_the_whole_ends() -> None:
    sigmas = make_sigmas(LEVELS, "normal", 8)
    half = run(sigmas=cut_sigmas(sigmas, 0, 5, force_full_denoise=False))
    rest = cut_sigmas(sigmas, 5, 10000, force_full_denoise=True)
    found = run(latent=half, noise=torch.zeros_like(half), sigmas=rest)
    torch.testing.assert_close(found, run(sigmas=sigmas))


def test_cut_sigmas() -> None:
    sigmas = torch.tensor([8.0, 4.0, 2.0, 1.0, 0.0])
    assert cut_sigmas(sigmas, 0, 10000, True).tolist() == [8, 4, 2, 1, 0]
    assert cut_sigmas(sigmas, 1, 3, False).tolist() == [4, 2, 1]
    assert cut_sigmas(sigmas, 1, 3, True).tolist() == [4, 2, 0]
    assert len(cut_sigmas(sigmas, 4, 10000, True)) == 0
    assert len(cut_sigmas(sigmas, 3, 3, True)) == 0
    assert len(cut_sigmas(sigmas[:0], 0, 10000, True)) == 0
    assert sigmas.tolist() == [8, 4, 2, 1, 0]


def test_options_of_a_sampler_can_be_set() -> None:
    calm = SAMPLERS["euler_ancestral"].with_options(eta=0.0)
    torch.testing.assert_close(run(sampler=calm), run(sampler="euler"), atol=1e-5, rtol=1e-5)


def test_no_gradients_are_kept() -> None:
    weight = torch.ones((), requires_grad=True)
    assert not run(lambda x, sigma: shrink(x, sigma) * weight).requires_grad


def test_an_unknown_sampler_is_refused_before_anything_is_computed() -> None:
    with pytest.raises(UsageError, match="no sampler"):
        run(lambda x, sigma: pytest.fail("the denoiser was called"), sampler="nope")
