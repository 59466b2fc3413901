from __future__ import annotations

import pytest
import torch

from comfykit.nodes.blending import BLENDS, blend
from comfykit.nodes.compositing import (
    composite,
    image_blend,
    image_composite_masked,
    join_image_with_alpha,
    porter_duff_image_composite,
    split_image_with_alpha,
)
from comfykit.nodes.porter_duff import OPERATORS, compose


def test_composite_lies_at_its_corner_and_is_cut_off() -> None:
    made = composite(torch.zeros(1, 1, 3, 4), torch.ones(1, 1, 2, 2), 3, 1, None)
    assert made[0, 0].tolist() == [[0, 0, 0, 0], [0, 0, 0, 1], [0, 0, 0, 1]]
    assert not composite(torch.zeros(1, 1, 3, 4), torch.ones(1, 1, 2, 2), 4, 0, None).any()


def test_composite_repeats_and_resizes() -> None:
    mask = torch.full((1, 8, 8), 0.25)
    made = composite(torch.zeros(3, 2, 4, 4), torch.ones(2, 2, 2, 2), 0, 0, mask, resize_source=True)
    assert torch.equal(made, torch.full((3, 2, 4, 4), 0.25))


def test_composite_leaves_its_inputs() -> None:
    destination = torch.zeros(1, 2, 2, 3)
    image_composite_masked(destination, torch.ones(1, 2, 2, 4), 0, 0, False)
    assert not destination.any()


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("normal", 0.8),
        ("multiply", 0.4 * 0.8),
        ("screen", 0.4 + 0.8 - 0.4 * 0.8),
        ("overlay", 2 * 0.4 * 0.8),
        ("soft_light", 0.4 + 0.6 * (0.4**0.5 - 0.4)),
        ("difference", 0.0),
    ],
)
def test_blend_modes(mode: str, expected: float) -> None:
    assert blend(torch.tensor(0.4), torch.tensor(0.8), mode, 1.0).item() == pytest.approx(expected)
    assert blend(torch.tensor(0.4), torch.tensor(0.8), mode, 0.0).item() == pytest.approx(0.4)


def test_blend_modes_in_the_other_halves() -> None:
    def of(mode: str, backdrop: float, layer: float) -> float:
        return float(BLENDS[mode](torch.tensor(backdrop), torch.tensor(layer)))

    assert of("overlay", 0.6, 0.3) == pytest.approx(1 - 2 * 0.4 * 0.7)
    assert of("soft_light", 0.6, 0.3) == pytest.approx(0.6 - 0.4 * 0.6 * 0.4)
    assert of("soft_light", 0.1, 0.75) == pytest.approx(0.1 + 0.5 * (((16 * 0.1 - 12) * 0.1 + 4) * 0.1 - 0.1))
    assert of("difference", 0.9, 0.2) == pytest.approx(0.7)


def test_image_blend_fits_the_second() -> None:
    assert image_blend(torch.rand(1, 4, 6, 3), torch.rand(1, 8, 8, 4), 0.5, "screen").shape == (1, 4, 6, 4)


def test_alpha_goes_there_and_back() -> None:
    image, mask = torch.rand(2, 4, 6, 3), torch.rand(1, 4, 6)
    joined = join_image_with_alpha(image, mask)
    assert joined.shape == (1, 4, 6, 4)  # the shorter batch counts
    colors, transparent = split_image_with_alpha(joined)
    assert torch.equal(colors, image[:1])
    torch.testing.assert_close(transparent, mask)
    assert not split_image_with_alpha(image)[1].any()


# Fractions of source and destination that an operator keeps, of their alphas (Porter and Duff, table 1).
TABLE = {
    "CLEAR": (lambda a, b: 0, lambda a, b: 0),
    "SRC": (lambda a, b: 1, lambda a, b: 0),
    "DST": (lambda a, b: 0, lambda a, b: 1),
    "SRC_OVER": (lambda a, b: 1, lambda a, b: 1 - a),
    "DST_OVER": (lambda a, b: 1 - b, lambda a, b: 1),
    "SRC_IN": (lambda a, b: b, lambda a, b: 0),
    "DST_IN": (lambda a, b: 0, lambda a, b: a),
    "SRC_OUT": (lambda a, b: 1 - b, lambda a, b: 0),
    "DST_OUT": (lambda a, b: 0, lambda a, b: 1 - a),
    "SRC_ATOP": (lambda a, b: b, lambda a, b: 1 - a),
    "DST_ATOP": (lambda a, b: 1 - b, lambda a, b: a),
    "XOR": (lambda a, b: 1 - b, lambda a, b: 1 - a),
}


@pytest.mark.parametrize("operator", TABLE)
def test_porter_duff_operators(operator: str) -> None:
    source, destination, a, b = 0.9, 0.3, 0.75, 0.5
    of_source, of_destination = (fraction(a, b) for fraction in TABLE[operator])
    alpha = a * of_source + b * of_destination
    color = (a * source * of_source + b * destination * of_destination) / alpha if alpha else 0.0
    made, mask = compose(
        torch.full((1, 1, 1, 3), source),
        torch.full((1, 1, 1), 1 - a),
        torch.full((1, 1, 1, 3), destination),
        torch.full((1, 1, 1), 1 - b),
        operator,
    )
    assert made[0, 0, 0].tolist() == pytest.approx([color] * 3, abs=1e-6)
    assert mask.item() == pytest.approx(1 - alpha, abs=1e-6)


@pytest.mark.parametrize(
    ("operator", "expected"),
    [
        ("ADD", 1.0),
        ("DARKEN", 0.3),
        ("LIGHTEN", 0.9),
        ("MULTIPLY", 0.27),
        ("SCREEN", 0.93),
        ("OVERLAY", 0.54),
    ],
)
def test_operators_that_mix_opaque_colors(operator: str, expected: float) -> None:
    opaque = torch.zeros(1, 1, 1)
    made, mask = compose(
        torch.full((1, 1, 1, 1), 0.9), opaque, torch.full((1, 1, 1, 1), 0.3), opaque, operator
    )
    assert made.item() == pytest.approx(expected)
    assert not mask.any()


def test_porter_duff_fits_everything_to_the_destination() -> None:
    assert len(OPERATORS) == 18
    made, mask = porter_duff_image_composite(
        torch.rand(2, 8, 8, 3), torch.rand(2, 5, 5), torch.rand(2, 4, 6, 4), torch.rand(1, 4, 6), "SCREEN"
    )
    assert made.shape == (1, 4, 6, 4)
    assert mask.shape == (1, 4, 6)
