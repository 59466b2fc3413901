from __future__ import annotations

import math

import pytest

from comfykit.sampling.samplers.step_size import StepSize


def controller(**gains: float) -> StepSize:
    pid = {"pcoeff": 0.0, "icoeff": 1.0, "dcoeff": 0.0} | gains
    return StepSize.of_order(3, 0.1, **pid, accept_safety=0.81)


def test_an_error_of_one_leaves_the_step_as_it_is() -> None:
    size = controller()
    assert size.accepts(1.0)
    assert size.h == pytest.approx(0.1)


def test_small_errors_widen_and_large_ones_narrow_within_limits() -> None:
    wide, narrow = controller(), controller()
    assert wide.accepts(1e-12)
    assert wide.h == pytest.approx(0.1 * (1 + math.pi / 2), rel=0.01)
    assert not narrow.accepts(1e12)
    assert narrow.h == pytest.approx(0.1 * (1 - math.pi / 4), rel=0.01)


def test_an_integral_controller_follows_the_root_of_the_error() -> None:
    size = controller()
    assert size.accepts(1.2**3)
    assert size.h == pytest.approx(0.1 * (1 + math.atan(1 / 1.2 - 1)), rel=1e-6)


def test_a_proportional_part_looks_at_the_last_accepted_error() -> None:
    size = controller(pcoeff=0.5)
    assert size.accepts(1.0)
    assert not size.accepts(8.0)  # is not remembered as the last
    h = size.h
    assert size.accepts(1.0)
    assert size.h == pytest.approx(h)
