from __future__ import annotations

from typing import Any

import pytest
import torch

from comfykit.nodes.latent_math import (
    latent_add,
    latent_blend,
    latent_interpolate,
    latent_multiply,
    latent_subtract,
)


def latent(value: float, count: int = 1, height: int = 4, width: int = 6) -> dict[str, Any]:
    return {"samples": torch.full((count, 4, height, width), value), "noise_mask": torch.ones(1, 1, 8, 8)}


@pytest.mark.parametrize(
    ("node", "expected"),
    [(latent_add, 5.0), (latent_subtract, -1.0)],
)
def test_sums(node: Any, expected: float) -> None:
    made = node(latent(2.0, 3), latent(3.0, 2, 8, 8))
    assert torch.equal(made["samples"], torch.full((3, 4, 4, 6), expected))
    assert "noise_mask" in made


def test_multiply() -> None:
    assert latent_multiply(latent(2.0), -1.5)["samples"].eq(-3.0).all()


def test_blend() -> None:
    assert latent_blend(latent(1.0), latent(2.0, 1, 8, 8), 0.25)["samples"].mean().item() == pytest.approx(
        1.75
    )


def test_interpolate_keeps_lengths() -> None:
    first, second = torch.zeros(1, 4, 1, 1), torch.zeros(1, 4, 1, 1)
    first[0, 0], second[0, 1] = 2.0, 4.0
    made = latent_interpolate({"samples": first}, {"samples": second}, 0.5)["samples"]
    assert made.norm().item() == pytest.approx(3.0)
    assert made[0, 0].item() == pytest.approx(made[0, 1].item())


def test_interpolate_at_the_ends_and_of_nothing() -> None:
    first, second = {"samples": torch.randn(1, 4, 3, 3)}, {"samples": torch.randn(1, 4, 3, 3)}
    torch.testing.assert_close(latent_interpolate(first, second, 1.0)["samples"], first["samples"])
    torch.testing.assert_close(latent_interpolate(first, second, 0.0)["samples"], second["samples"])
    assert latent_interpolate(latent(0.0), latent(0.0), 0.5)["samples"].eq(0).all()
