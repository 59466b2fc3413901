from __future__ import annotations

from typing import Any

import pytest
import torch
from nodes_support import Run
from torch import Tensor

from comfykit.families.components import Autoencoder
from comfykit.models.pixel_space import PixelSpace
from comfykit.nodes.inpainting import (
    inpaint_model_conditioning,
    instruct_pix_to_pix_conditioning,
    vae_encode_for_inpaint,
)


class Shrinking(PixelSpace):
    """An autoencoder whose latents are every eighth pixel."""

    downscale = 8

    def to_latent(self, pixels: Tensor) -> Tensor:
        return pixels[..., ::8, ::8]


VAE = Autoencoder(Shrinking())


def picture(height: int = 32, width: int = 48) -> Tensor:
    return torch.full((1, height, width, 3), 0.9)


def square(height: int = 32, width: int = 48) -> Tensor:
    """White from 8 to 16, both ways."""
    mask = torch.zeros(1, height, width)
    mask[:, 8:16, 8:16] = 1.0
    return mask


def rows_of_white(mask: Tensor) -> tuple[int, int]:
    marked = mask[0, 0].amax(dim=1).nonzero().flatten().tolist()
    return marked[0], marked[-1]


def test_what_lies_under_the_mask_is_painted_over(run: Run) -> None:
    latent = vae_encode_for_inpaint(run.context, picture(), VAE, square(), 0)
    assert latent["samples"].shape == (1, 3, 4, 6)
    assert float(latent["samples"][0, 0, 1, 1]) == pytest.approx(0.0)
    assert float(latent["samples"][0, 0, 0, 0]) == pytest.approx(0.8)
    assert torch.equal(latent["noise_mask"][0], square())


@pytest.mark.parametrize(
    ("by", "rows"), [(1, (8, 15)), (2, (8, 16)), (3, (7, 16)), (6, (6, 18)), (7, (5, 18))]
)
def test_the_samplers_mask_is_grown(run: Run, by: int, rows: tuple[int, int]) -> None:
    mask = vae_encode_for_inpaint(run.context, picture(), VAE, square(), by)["noise_mask"]
    assert mask.shape == (1, 1, 32, 48)
    assert rows_of_white(mask) == rows


def test_pictures_and_masks_are_cut_to_whole_cells_in_the_middle(run: Run) -> None:
    mask = torch.zeros(1, 37, 53)
    mask[:, :, :26] = 1.0
    latent = vae_encode_for_inpaint(run.context, picture(37, 53), VAE, mask, 0)
    assert latent["samples"].shape == (1, 3, 4, 6)
    assert latent["noise_mask"].shape == (1, 1, 32, 48)
    assert latent["noise_mask"][0, 0, 0].sum() == 24  # 26 less the margin of 2


def test_a_mask_of_another_size_is_resized(run: Run) -> None:
    mask = torch.zeros(1, 16, 24)
    mask[:, :, :12] = 1.0
    latent = vae_encode_for_inpaint(run.context, picture(), VAE, mask, 0)
    assert latent["noise_mask"][0, 0, 0, ::8].tolist() == [1, 1, 1, 0, 0, 0]


def conditioning() -> list[list[Any]]:
    return [[torch.ones(1, 2, 4), {"strength": 0.5}]]


@pytest.mark.parametrize("with_mask", [True, False])
def test_a_model_for_inpainting_is_shown_picture_and_mask(run: Run, with_mask: bool) -> None:
    positive, negative, latent = inpaint_model_conditioning(
        run.context, conditioning(), conditioning(), VAE, picture(), square(), with_mask
    )
    for ((_, options),) in (positive, negative):
        assert options["strength"] == 0.5
        assert float(options["concat_latent_image"][0, 0, 1, 1]) == pytest.approx(0.0)
        assert torch.equal(options["concat_mask"][0], square())
    assert float(latent["samples"][0, 0, 1, 1]) == pytest.approx(0.8)
    assert ("noise_mask" in latent) is with_mask


def test_a_model_for_editing_is_shown_the_picture(run: Run) -> None:
    positive, negative, latent = instruct_pix_to_pix_conditioning(
        run.context, conditioning(), conditioning(), VAE, picture(37, 53)
    )
    for ((_, options),) in (positive, negative):
        assert options["concat_latent_image"].shape == (1, 3, 4, 6)
    assert torch.equal(latent["samples"], torch.zeros(1, 3, 4, 6))


def test_the_picture_given_stays_as_it_is(run: Run) -> None:
    given = picture()
    vae_encode_for_inpaint(run.context, given, VAE, square(), 6)
    assert torch.equal(given, picture())
