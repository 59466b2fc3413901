from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from comfykit.families.concat import MID_GREY, concat_inputs
from comfykit.families.family import LatentFormat, Scene
from comfykit.models.unet import UNetConfig

FORM = LatentFormat(channels=4, scale=0.5, shift=1.0)


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def scene(channels: int, *, batch: int = 1, mask: Tensor | None = None) -> Scene:
    latent = random(batch, 4, 4, 6)
    return Scene(latent, torch.zeros_like(latent), mask, UNetConfig(in_channels=channels), FORM)


def concat(scene: Scene, **options: Any) -> Tensor:
    return concat_inputs(options, 0, scene)["concat"]


def test_a_plain_model_is_given_nothing() -> None:
    assert concat_inputs({"concat_latent_image": random(1, 4, 4, 6)}, 0, scene(4)) == {}


def test_inpainting_is_shown_the_mask_and_the_picture_in_the_models_scale() -> None:
    picture, mask = random(1, 4, 4, 6, seed=1), torch.zeros(1, 1, 32, 48)
    mask[..., 24:] = 1.0
    given = concat(scene(9), concat_latent_image=picture, concat_mask=mask)
    assert given.shape == (1, 5, 4, 6)
    assert given[0, 0].tolist() == [[0, 0, 0, 1, 1, 1]] * 4
    torch.testing.assert_close(given[:, 1:], (picture - 1.0) * 0.5)


def test_inpainting_without_a_conditioning_uses_the_mask_and_the_latent_of_the_run() -> None:
    mask = torch.full((1, 1, 4, 6), 0.7)
    mask[..., :2] = 0.2
    here = scene(9, mask=mask)
    given = concat(here)
    assert given[0, 0].tolist() == [[0, 0, 1, 1, 1, 1]] * 4
    assert torch.equal(given[:, 1:], here.latent)


def test_inpainting_without_a_mask_makes_all_of_a_grey_picture() -> None:
    given = concat(scene(9, batch=2), concat_latent_image=random(1, 4, 4, 6, seed=1))
    assert given.shape == (2, 5, 4, 6)
    assert bool((given[:, 0] == 1).all())
    torch.testing.assert_close(given[1, 1:, 2, 3], torch.tensor(MID_GREY))


def test_editing_is_shown_the_picture_in_the_scale_of_the_vae() -> None:
    picture = random(1, 4, 4, 6, seed=1)
    here = scene(8, batch=2)
    assert torch.equal(concat(here, concat_latent_image=picture), picture.expand(2, -1, -1, -1))
    assert torch.equal(concat(here), torch.zeros(2, 4, 4, 6))
    scaled = concat_inputs({"concat_latent_image": picture}, 0, here, edits_in_scale=True)["concat"]
    torch.testing.assert_close(scaled[0], (picture[0] - 1.0) * 0.5)


@pytest.mark.parametrize(("rows", "expected"), [(1, [0, 0, 0, 0]), (2, [0, 0, 1, 1]), (4, [0, 1, 2, 3])])
def test_pictures_spread_over_the_batch(rows: int, expected: list[int]) -> None:
    pictures = torch.arange(rows).float().reshape(-1, 1, 1, 1).expand(rows, 4, 4, 6)
    given = concat(scene(8, batch=4), concat_latent_image=pictures)
    assert given[:, 0, 0, 0].tolist() == expected


def test_a_picture_of_another_size_is_cropped_and_resized() -> None:
    picture = torch.zeros(1, 4, 8, 16)
    picture[..., 2:14] = 1.0
    assert torch.equal(concat(scene(8), concat_latent_image=picture), torch.ones(1, 4, 4, 6))
