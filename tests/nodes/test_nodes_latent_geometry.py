from __future__ import annotations

from typing import Any

import pytest
import torch

from comfykit.nodes.latent_geometry import (
    latent_composite,
    latent_composite_masked,
    latent_concat,
    latent_crop,
    latent_cut,
    latent_flip,
    latent_rotate,
    set_latent_noise_mask,
)


def grid(height: int, width: int, count: int = 1) -> dict[str, Any]:
    samples = torch.arange(float(height * width)).view(1, 1, height, width).repeat(count, 4, 1, 1)
    return {"samples": samples, "batch_index": [7]}


def rows(latent: dict[str, Any]) -> list[list[float]]:
    return latent["samples"][0, 0].tolist()  # type: ignore[no-any-return]


def test_crop_is_in_pixels() -> None:
    made = latent_crop(grid(12, 16), 64, 72, 24, 8)
    assert made["samples"].shape == (1, 4, 9, 8)
    assert rows(made)[0][0] == 16 + 3
    assert made["batch_index"] == [7]
    assert latent_crop(grid(12, 16), 64, 64, 9999, 9999)["samples"].shape == (1, 4, 8, 8)
    assert latent_crop(grid(4, 4), 64, 64, 64, 64)["samples"].shape == (1, 4, 4, 4)


def test_flip_and_rotate() -> None:
    assert rows(latent_flip(grid(2, 3), "x-axis: vertically")) == [[3, 4, 5], [0, 1, 2]]
    assert rows(latent_flip(grid(2, 3), "y-axis: horizontally")) == [[2, 1, 0], [5, 4, 3]]
    assert rows(latent_rotate(grid(2, 3), "90 degrees")) == [[3, 0], [4, 1], [5, 2]]


def test_concat() -> None:
    assert latent_concat(grid(2, 3, 2), grid(2, 1), "x")["samples"].shape == (2, 4, 2, 4)
    assert rows(latent_concat(grid(1, 2), grid(1, 1), "-x")) == [[0, 0, 1]]
    assert latent_concat(grid(2, 3), grid(1, 3), "y")["samples"].shape == (1, 4, 3, 3)
    assert latent_concat(grid(2, 3), grid(2, 3), "t")["samples"].shape == (1, 8, 2, 3)


@pytest.mark.parametrize(
    ("index", "amount", "kept"),
    [(1, 2, [1, 2]), (9, 5, [3]), (-2, 9, [2, 3]), (-9, 1, [0])],
)
def test_cut(index: int, amount: int, kept: list[float]) -> None:
    assert rows(latent_cut(grid(1, 4), "x", index, amount)) == [kept]


def test_composite_fades_on_inner_sides() -> None:
    below, above = {"samples": torch.zeros(1, 1, 4, 8)}, {"samples": torch.ones(1, 1, 4, 4)}
    made = rows(latent_composite(below, above, 16, 0, 16))
    assert made == [[0, 0, 0.5, 1, 1, 0.5, 0, 0]] * 4
    at_the_border = rows(latent_composite(below, above, 32, 0, 16))
    assert at_the_border[0] == [0, 0, 0, 0, 0.5, 1, 1, 1]
    assert not latent_composite(below, above, 800, 0, 16)["samples"].any()
    assert not below["samples"].any()


def test_composite_with_a_mask() -> None:
    below, above = {"samples": torch.zeros(2, 1, 2, 3)}, {"samples": torch.ones(1, 1, 2, 2)}
    mask = torch.tensor([[0.0, 1.0]]).repeat(2, 1)[None]
    assert rows(latent_composite_masked(below, above, 8, 8, False, mask)) == [[0, 0, 0], [0, 0, 1]]
    assert latent_composite_masked(below, above, 0, 0, True)["samples"].eq(1).all()


def test_noise_mask() -> None:
    made = set_latent_noise_mask(grid(2, 2), torch.ones(16, 16))
    assert made["noise_mask"].shape == (1, 1, 16, 16)
    assert made["batch_index"] == [7]
