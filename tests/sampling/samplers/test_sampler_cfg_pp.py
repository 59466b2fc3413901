"""CFG++: a step from the guided prediction along the slope of the unconditional one."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from comfykit.errors import UsageError
from comfykit.sampling.denoiser import ignore_step
from comfykit.sampling.noise import no_noise
from comfykit.sampling.samplers import SAMPLERS

PLAIN = {
    "euler_cfg_pp": "euler",
    "euler_ancestral_cfg_pp": "euler_ancestral",
    "dpmpp_2m_cfg_pp": "dpmpp_2m",
    "res_multistep_cfg_pp": "res_multistep",
    "res_multistep_ancestral_cfg_pp": "res_multistep_ancestral",
    "gradient_estimation_cfg_pp": "gradient_estimation",
}


class Sides:
    """Predicts one constant when guided, another without."""

    def __init__(self, guided: float, negative: float) -> None:
        self._sides = guided, negative

    def __call__(self, x: Tensor, sigma: Tensor) -> Tensor:
        return torch.full_like(x, self._sides[0])

    def both(self, x: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
        guided, negative = (torch.full_like(x, side) for side in self._sides)
        return guided, negative


def run(sampler: str, denoiser: Any, sigmas: Tensor, x: Tensor) -> Tensor:
    spec = SAMPLERS[sampler]
    return spec.run(denoiser, x, sigmas, noise=spec.noise(x, sigmas, 3), callback=ignore_step)


@pytest.mark.parametrize(("sampler", "plain"), PLAIN.items())
def test_sides_that_agree_give_the_plain_sampler(gaussian: Any, sampler: str, plain: str) -> None:
    x = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(1)) * 10
    sigmas = torch.cat([gaussian.sigmas(6).float(), torch.zeros(1)])
    found, expected = (run(name, gaussian, sigmas, x) for name in (sampler, plain))
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_a_step_of_euler_by_hand() -> None:
    x = torch.full((1, 1, 1, 1), 9.0)
    found = run("euler_cfg_pp", Sides(2.0, 1.0), torch.tensor([4.0, 2.0]), x)
    assert found.item() == 2.0 + 2.0 * (9.0 - 1.0) / 4.0


def test_a_step_of_the_ancestral_sampler_by_hand() -> None:
    x = torch.full((1, 1, 1, 1), 9.0)
    spec = SAMPLERS["euler_ancestral_cfg_pp"].with_options(s_noise=0.0)
    sigmas = torch.tensor([4.0, 2.0])
    found = spec.run(Sides(2.0, 1.0), x, sigmas, noise=no_noise(x, sigmas, 0), callback=ignore_step)
    assert found.item() == 2.0 + 1.0 * (9.0 - 1.0) / 4.0  # down to 2^2 / 4


def test_the_second_step_of_2m_extrapolates_from_the_unconditional_prediction() -> None:
    # h is the same for both steps; x' = D + e^-h (x - U) + (1 - e^-h) / 2 (D - U_last).
    x = torch.full((1, 1, 1, 1), 9.0)
    found = run("dpmpp_2m_cfg_pp", Sides(2.0, 1.0), torch.tensor([4.0, 2.0, 1.0]), x)
    assert found.item() == pytest.approx(2 + (6 - 1) / 2 + (1 - 1 / 2) / 2 * (2 - 1))


def test_2s_takes_the_newest_unconditional_prediction_by_hand() -> None:
    class Changing(Sides):
        def both(self, x: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
            return torch.full_like(x, float(sigma[0])), torch.full_like(x, float(sigma[0]) / 2)

    x = torch.full((1, 1, 1, 1), 9.0)
    spec = SAMPLERS["dpmpp_2s_ancestral_cfg_pp"].with_options(eta=0.0)
    sigmas = torch.tensor([4.0, 1.0])
    found = spec.run(Changing(0, 0), x, sigmas, noise=no_noise(x, sigmas, 0), callback=ignore_step)
    # The middle is at 2: D is 4, then 2, U there 1.
    assert found.item() == pytest.approx((9 + 4 - 1) * 1 / 4 + 2 * (1 - 1 / 4))


@pytest.mark.parametrize("sampler", [name for name, spec in SAMPLERS.items() if spec.needs_negative])
def test_a_step_to_zero_takes_the_guided_prediction(sampler: str) -> None:
    x = torch.full((1, 1, 2, 2), 9.0)
    assert (run(sampler, Sides(2.0, 1.0), torch.tensor([4.0, 2.0, 0.0]), x) == 2.0).all()


@pytest.mark.parametrize("sampler", [name for name, spec in SAMPLERS.items() if spec.needs_negative])
def test_a_denoiser_with_one_side_is_refused(sampler: str) -> None:
    x = torch.ones(1, 1, 1, 1)
    with pytest.raises(UsageError, match="needs a negative prompt"):
        run(sampler, lambda x, sigma: x, torch.tensor([4.0, 0.0]), x)
