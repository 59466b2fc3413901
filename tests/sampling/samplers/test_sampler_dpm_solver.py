from __future__ import annotations

import math
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from comfykit.errors import UsageError
from comfykit.sampling.denoiser import StepInfo, ignore_step
from comfykit.sampling.noise import no_noise, randn_noise
from comfykit.sampling.samplers.dpm_solver import _orders, _Step, dpm_adaptive, dpm_fast


@pytest.mark.parametrize(
    ("evaluations", "orders"),
    [(1, [1]), (2, [2]), (3, [2, 1]), (4, [3, 1]), (5, [3, 2]), (6, [3, 2, 1]), (9, [3, 3, 2, 1])],
)
def test_orders_use_up_the_evaluations(evaluations: int, orders: list[int]) -> None:
    assert _orders(evaluations) == orders
    assert sum(orders) == evaluations


@pytest.mark.parametrize("order", [1, 2, 3])
def test_one_step_of_each_order_has_an_error_of_one_order_more(gaussian: Any, order: int) -> None:
    def error(h: float) -> float:
        t = 0.3
        x = torch.full((1, 1, 1, 1), math.sqrt(0.5 + math.exp(-2 * t)), dtype=torch.float64)
        found = float(_Step(gaussian, x, t).to(t + h, order))
        return abs(found - math.sqrt(0.5 + math.exp(-2 * (t + h))))

    # Levels reach the denoiser in single precision, which ends how small an error can be seen.
    assert math.log2(error(0.4) / error(0.2)) == pytest.approx(order + 1, abs=0.35)


def test_fast_has_the_order_that_its_last_step_leaves(gaussian: Any) -> None:
    # Steps of order 3 and a last one of order 1, half as wide.
    assert math.log2(gaussian.error(dpm_fast, 31) / gaussian.error(dpm_fast, 61)) == pytest.approx(2, abs=0.2)


def test_fast_tells_its_steps(gaussian: Any) -> None:
    told: list[StepInfo] = []
    x = torch.full((1, 1, 2, 2), 4.0)
    sigmas = torch.tensor([8.0, 5.0, 3.0, 1.0, 0.5, 0.0])
    dpm_fast(gaussian, x, sigmas, noise=no_noise(x, sigmas, 0), callback=told.append)
    assert [(info.step, info.total) for info in told] == [(0, 2), (1, 2)]
    assert [info.sigma for info in told] == pytest.approx([8.0, 2.0])


@pytest.mark.parametrize("order", [2, 3])
def test_adaptive_is_as_exact_as_it_is_asked_to_be(gaussian: Any, order: int) -> None:
    errors = [
        gaussian.error(partial(dpm_adaptive, order=order, rtol=tolerance, atol=tolerance), 10)
        for tolerance in (1e-2, 1e-3, 1e-4)
    ]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 2e-3


def test_adaptive_takes_more_steps_where_it_must_be_more_exact(gaussian: Any) -> None:
    def steps(rtol: float) -> int:
        told: list[StepInfo] = []
        x = torch.ones(1, 1, 4, 4)
        sigmas = gaussian.sigmas(3)
        dpm_adaptive(
            gaussian, x, sigmas, noise=no_noise(x, sigmas, 0), callback=told.append, rtol=rtol, atol=rtol / 10
        )
        assert [info.step for info in told] == list(range(len(told)))
        assert all(info.step < info.total for info in told)
        assert told[-1].total == len(told)
        return len(told)

    assert steps(1e-4) > 2 * steps(1e-2) > 0


def test_adaptive_adds_noise_that_keeps_the_variance(gaussian: Any) -> None:
    # s_noise and eta as in ancestral samplers.
    run = partial(dpm_adaptive, eta=1.0, rtol=0.02, atol=0.005)
    assert gaussian.variance_of(run, randn_noise, 4) == pytest.approx(1, abs=0.08)


def test_predictions_that_are_not_finite_end_the_run() -> None:
    def broken(x: Tensor, sigma: Tensor) -> Tensor:
        return torch.full_like(x, math.nan)

    x = torch.ones(1, 1, 1, 1)
    sigmas = torch.tensor([5.0, 1.0, 0.0])
    with pytest.raises(UsageError, match="not finite"):
        dpm_adaptive(broken, x, sigmas, noise=no_noise(x, sigmas, 0), callback=ignore_step)
