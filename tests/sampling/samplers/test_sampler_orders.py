"""Every sampler of the ODE converges to the solution at its order."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from comfykit.sampling.denoiser import StepInfo, ignore_step
from comfykit.sampling.noise import no_noise
from comfykit.sampling.samplers import SAMPLERS
from comfykit.sampling.samplers.dpmpp import dpmpp_2m, dpmpp_2m_sde, dpmpp_sde
from comfykit.sampling.samplers.euler import euler, euler_ancestral
from comfykit.sampling.samplers.karras import dpm_2, dpm_2_ancestral, heun
from comfykit.sampling.samplers.lms import lms
from comfykit.sampling.samplers.unipc import uni_pc

ORDERS: list[tuple[Callable[..., Tensor], float]] = [
    (euler, 1),
    (partial(euler_ancestral, eta=0.0), 1),
    (heun, 2),
    (dpm_2, 2),
    (partial(dpm_2_ancestral, eta=0.0), 2),
    (partial(lms, order=1), 1),
    (partial(lms, order=2), 2),
    (dpmpp_2m, 2),
    (partial(dpmpp_2m_sde, eta=0.0), 2),
    (partial(dpmpp_sde, eta=0.0), 2),
    (uni_pc, 2),  # its first and last steps are of lower order
    (partial(uni_pc, variant="bh2"), 2),
]


def name(sampler: Any) -> str:
    inner = getattr(sampler, "func", sampler)
    return f"{inner.__name__}{getattr(sampler, 'keywords', '')}"


@pytest.mark.parametrize(("sampler", "order"), ORDERS, ids=[name(sampler) for sampler, _ in ORDERS])
def test_order_of_convergence(gaussian: Any, sampler: Callable[..., Tensor], order: float) -> None:
    assert gaussian.order(sampler, 64) == pytest.approx(order, abs=0.1)


def test_lms_gains_more_than_three_orders(gaussian: Any) -> None:
    # Its first steps are of lower order, so that four are not reached.
    assert gaussian.order(lms, 32) > 3.5


def test_higher_orders_are_nearer_at_equal_steps(gaussian: Any) -> None:
    errors = [gaussian.error(sampler, 32) for sampler in (euler, dpmpp_2m, uni_pc, lms)]
    assert errors == sorted(errors, reverse=True)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_denoiser_that_knows_the_answer_is_believed(sampler: str) -> None:
    answer = torch.linspace(-1, 1, 16).reshape(1, 1, 4, 4)
    sigmas = torch.tensor([10.0, 3.0, 1.0, 0.4, 0.1, 0.0])
    x = answer + 10 * torch.ones_like(answer)
    spec = SAMPLERS[sampler]
    noise = spec.noise(x, sigmas, 0)
    found = spec.run(lambda x, sigma: answer.clone(), x, sigmas, noise=noise, callback=ignore_step)
    # uni_pc stops at 0.001, where a ten-thousandth of the first noise is left.
    torch.testing.assert_close(found, answer, atol=2e-3 if "uni_pc" in sampler else 1e-5, rtol=0)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_one_step_is_enough_to_run(sampler: str) -> None:
    x = torch.full((2, 3, 4, 4), 5.0)
    sigmas = torch.tensor([5.0, 0.0])
    spec = SAMPLERS[sampler]
    found = spec.run(lambda x, sigma: x / 10, x, sigmas, noise=spec.noise(x, sigmas, 0), callback=ignore_step)
    torch.testing.assert_close(found, x / 10, atol=2e-3, rtol=0)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_each_step_is_told_once_with_the_prediction_made_from_its_state(gaussian: Any, sampler: str) -> None:
    told: list[StepInfo] = []
    x = torch.full((1, 1, 2, 2), 4.0)
    sigmas = gaussian.sigmas(6).float()
    spec = SAMPLERS[sampler]
    spec.run(gaussian, x, sigmas, noise=spec.noise(x, sigmas, 0), callback=told.append)
    assert [(info.step, info.total) for info in told] == [(i, 6) for i in range(6)]
    torch.testing.assert_close(torch.tensor([info.sigma for info in told]), sigmas[:-1])
    assert torch.equal(told[0].x, x)
    for info in told:
        torch.testing.assert_close(info.denoised, gaussian(info.x, torch.tensor([info.sigma])))


def test_what_a_callback_raises_ends_the_run(gaussian: Any) -> None:
    def stop(info: StepInfo) -> None:
        if info.step == 2:
            raise KeyboardInterrupt

    calls = 0

    def counting(x: Tensor, sigma: Tensor) -> Tensor:
        nonlocal calls
        calls += 1
        return gaussian(x, sigma)

    x = torch.ones(1, 1, 1, 1)
    sigmas = gaussian.sigmas(10)
    with pytest.raises(KeyboardInterrupt):
        euler(counting, x, sigmas, noise=no_noise(x, sigmas, 0), callback=stop)
    assert calls == 3


@pytest.mark.parametrize(
    ("sampler", "evaluations"),
    [
        ("euler", 6),
        ("heun", 11),
        ("dpm_2", 11),
        ("lms", 6),
        ("dpmpp_2m", 6),
        ("uni_pc", 6),
        ("dpmpp_sde", 11),
    ],
)
def test_evaluations_of_a_run_of_six_steps_to_zero(gaussian: Any, sampler: str, evaluations: int) -> None:
    calls: list[float] = []

    def counting(x: Tensor, sigma: Tensor) -> Tensor:
        calls.append(float(sigma[0]))
        return gaussian(x, sigma)

    x = torch.ones(1, 1, 1, 1)
    sigmas = torch.cat([gaussian.sigmas(5), torch.zeros(1)]).float()
    spec = SAMPLERS[sampler]
    spec.run(counting, x, sigmas, noise=spec.noise(x, sigmas, 0), callback=ignore_step)
    assert len(calls) == evaluations
