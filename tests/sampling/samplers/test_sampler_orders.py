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
from comfykit.sampling.samplers.dpmpp import dpmpp_2m, dpmpp_2s_ancestral
from comfykit.sampling.samplers.dpmpp_sde import dpmpp_2m_sde, dpmpp_3m_sde, dpmpp_sde
from comfykit.sampling.samplers.er_sde import er_sde, power_scale
from comfykit.sampling.samplers.euler import euler, euler_ancestral
from comfykit.sampling.samplers.gradient_estimation import gradient_estimation
from comfykit.sampling.samplers.heunpp import heunpp2
from comfykit.sampling.samplers.ipndm import ipndm, ipndm_v
from comfykit.sampling.samplers.karras import dpm_2, dpm_2_ancestral, heun
from comfykit.sampling.samplers.lms import lms
from comfykit.sampling.samplers.res_multistep import res_multistep
from comfykit.sampling.samplers.sa_solver import sa_solver
from comfykit.sampling.samplers.seeds import seeds_2, seeds_3
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
    (heunpp2, 1),  # at low levels it is nearly Euler's
    (partial(ipndm, order=2), 2),
    (ipndm, 2),  # its weights are those of even steps
    (gradient_estimation, 1),
    (partial(dpmpp_2s_ancestral, eta=0.0), 2),
    (partial(dpmpp_2m_sde, eta=0.0, solver_type="heun"), 2),
    (res_multistep, 2),
    (partial(res_multistep, eta=0.0), 2),
    (partial(seeds_2, eta=0.0), 2),
    (partial(seeds_2, eta=0.0, r=0.3), 2),
    (partial(seeds_3, eta=0.0), 3),
    (partial(er_sde, noise_scale=power_scale(0.0), max_stage=1), 1),
    (partial(sa_solver, eta=0.0, predictor_order=1, corrector_order=0), 1),
    (partial(sa_solver, eta=0.0, predictor_order=2, corrector_order=0), 2),
    (partial(sa_solver, eta=0.0, predictor_order=3, corrector_order=0), 3),
    (partial(sa_solver, eta=0.0, predictor_order=2, corrector_order=3), 3),
    (partial(sa_solver, eta=0.0, predictor_order=2, corrector_order=3, simple_order_2=True), 3),
    (partial(sa_solver, eta=0.0), 4),
    (partial(sa_solver, eta=0.0, pece=True), 4),
]


def name(sampler: Any) -> str:
    inner = getattr(sampler, "func", sampler)
    options = [
        f"{key}={value}" for key, value in getattr(sampler, "keywords", {}).items() if not callable(value)
    ]
    return " ".join([inner.__name__, *options])


@pytest.mark.parametrize(("sampler", "order"), ORDERS, ids=[name(sampler) for sampler, _ in ORDERS])
def test_order_of_convergence(gaussian: Any, sampler: Callable[..., Tensor], order: float) -> None:
    assert gaussian.order(sampler, 64) == pytest.approx(order, abs=0.1)


def test_lms_gains_more_than_three_orders(gaussian: Any) -> None:
    # Its first steps are of lower order, so that four are not reached.
    assert gaussian.order(lms, 32) > 3.5


def test_samplers_whose_first_steps_rule_gain_more_than_their_last_order(gaussian: Any) -> None:
    # An Euler step at first leaves order 2 in the end; until there the error falls faster.
    assert gaussian.order(partial(dpmpp_3m_sde, eta=0.0), 128) == pytest.approx(2, abs=0.25)
    assert gaussian.order(ipndm_v, 256) == pytest.approx(2, abs=0.25)
    assert gaussian.order(SAMPLERS["deis"].run, 32) == pytest.approx(3, abs=0.1)


def test_stages_of_er_sde(gaussian: Any) -> None:
    # The sums that stand for its integrals end its order at many steps.
    ode = [partial(er_sde, noise_scale=power_scale(0.0), max_stage=stage) for stage in (1, 2, 3)]
    errors = [gaussian.error(sampler, 32) for sampler in ode]
    assert errors[0] > 10 * errors[1] > 15 * errors[2]
    assert gaussian.order(ode[1], 16) > 2


def test_higher_orders_are_nearer_at_equal_steps(gaussian: Any) -> None:
    errors = [gaussian.error(sampler, 32) for sampler in (euler, dpmpp_2m, uni_pc, lms)]
    assert errors == sorted(errors, reverse=True)


OWN_LEVELS = {"dpm_fast", "dpm_adaptive"}  # these choose their steps, and stop at the last positive level


class Known:
    """Knows the answer, on both sides."""

    def __init__(self, answer: Callable[[Tensor], Tensor]) -> None:
        self._answer = answer

    def __call__(self, x: Tensor, sigma: Tensor) -> Tensor:
        return self._answer(x)

    def both(self, x: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
        return self._answer(x), self._answer(x)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_denoiser_that_knows_the_answer_is_believed(sampler: str) -> None:
    answer = torch.linspace(-1, 1, 16).reshape(1, 1, 4, 4)
    sigmas = torch.tensor([10.0, 3.0, 1.0, 0.4, 0.1, 0.0])
    x = answer + 10 * torch.ones_like(answer)
    spec = SAMPLERS[sampler]
    noise = spec.noise(x, sigmas, 0)
    known = Known(lambda x: answer.clone())
    found = spec.run(known, x, sigmas, noise=noise, callback=ignore_step)
    # uni_pc stops at 0.001, where a ten-thousandth of the first noise is left; some do not go below 0.1.
    atol = 0.11 if sampler in OWN_LEVELS else 2e-3 if "uni_pc" in sampler else 1e-5
    torch.testing.assert_close(found, answer, atol=atol, rtol=0)


@pytest.mark.parametrize("sampler", sorted(SAMPLERS.keys() - OWN_LEVELS))
def test_one_step_is_enough_to_run(sampler: str) -> None:
    x = torch.full((2, 3, 4, 4), 5.0)
    sigmas = torch.tensor([5.0, 0.0])
    spec = SAMPLERS[sampler]
    known = Known(lambda x: x / 10)
    found = spec.run(known, x, sigmas, noise=spec.noise(x, sigmas, 0), callback=ignore_step)
    torch.testing.assert_close(found, x / 10, atol=2e-3, rtol=0)


@pytest.mark.parametrize("sampler", sorted(SAMPLERS.keys() - OWN_LEVELS))
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
        ("heunpp2", 15),
        ("dpmpp_2s_ancestral", 11),
        ("dpmpp_3m_sde", 6),
        ("dpm_fast", 6),
        ("lcm", 6),
        ("ipndm_v", 6),
        ("deis", 6),
        ("res_multistep", 6),
        ("er_sde", 6),
        ("seeds_2", 11),
        ("seeds_3", 16),
        ("sa_solver", 6),
        ("sa_solver_pece", 11),
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
