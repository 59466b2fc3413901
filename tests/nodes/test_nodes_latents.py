from __future__ import annotations

import pytest
import torch

from comfykit.nodes.latents import empty_latent_image, latent_upscale, latent_upscale_by


def latent(width: int, height: int) -> dict[str, object]:
    samples = torch.randn(2, 4, height, width, generator=torch.Generator().manual_seed(0))
    return {"samples": samples, "noise_mask": torch.ones(1, 8, 8), "batch_index": [3, 4]}


def test_empty_latent() -> None:
    samples = empty_latent_image(96, 70, 3)["samples"]
    assert samples.shape == (3, 4, 8, 12)
    assert samples.dtype == torch.float32
    assert not samples.any()


@pytest.mark.parametrize(
    ("asked", "given"),
    [((96, 128), (12, 16)), ((0, 256), (48, 32)), ((96, 0), (12, 8)), ((8, 8), (8, 8)), ((0, 8), (12, 8))],
)
def test_upscale_to_a_size_in_pixels(asked: tuple[int, int], given: tuple[int, int]) -> None:
    after = latent_upscale(latent(12, 8), "nearest-exact", *asked, "disabled")
    assert after["samples"].shape == (2, 4, given[1], given[0])


def test_upscale_to_nothing_changes_nothing() -> None:
    before = latent(12, 8)
    assert latent_upscale(before, "bislerp", 0, 0, "center") is before


@pytest.mark.parametrize(
    ("factor", "given"), [(1.5, (18, 12)), (0.01, (1, 1)), (1.0, (12, 8)), (0.3, (4, 2))]
)
def test_upscale_by(factor: float, given: tuple[int, int]) -> None:
    after = latent_upscale_by(latent(12, 8), "bilinear", factor)
    assert after["samples"].shape == (2, 4, given[1], given[0])


def test_what_else_a_latent_has_stays() -> None:
    before = latent(12, 8)
    for after in (latent_upscale(before, "area", 64, 64, "center"), latent_upscale_by(before, "area", 2.0)):
        assert after["noise_mask"] is before["noise_mask"]
        assert after["batch_index"] == [3, 4]
    assert before["samples"].shape == (2, 4, 8, 12)  # type: ignore[attr-defined]
