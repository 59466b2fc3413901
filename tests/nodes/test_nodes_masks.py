from __future__ import annotations

import pytest
import torch
from scipy import ndimage

from comfykit.errors import UsageError
from comfykit.nodes.masks import (
    crop_mask,
    feather_mask,
    grow_mask,
    image_color_to_mask,
    image_to_mask,
    invert_mask,
    mask_composite,
    mask_to_image,
    solid_mask,
    threshold_mask,
)


def test_simple_ones() -> None:
    mask = solid_mask(0.25, 3, 2)
    assert mask.tolist() == [[[0.25] * 3] * 2]
    assert invert_mask(mask)[0, 0, 0].item() == 0.75
    assert threshold_mask(torch.tensor([[[0.5, 0.51]]]), 0.5).tolist() == [[[0, 1]]]
    assert crop_mask(torch.arange(12.0).view(1, 3, 4), 1, 1, 2, 9).tolist() == [[[5, 6], [9, 10]]]
    assert mask_to_image(torch.rand(3, 4)).shape == (1, 3, 4, 3)


def test_feather() -> None:
    made = feather_mask(torch.ones(1, 1, 8), 4, 0, 0, 0)
    assert made[0, 0].tolist() == [0.25, 0.5, 0.75, 1, 1, 1, 1, 1]


def test_feather_on_the_far_side_is_one_pixel_late() -> None:
    """As in ComfyUI 0.3.64, where the least step falls on the first pixel."""
    assert feather_mask(torch.ones(1, 1, 8), 0, 0, 4, 0)[0, 0].tolist() == [0.25, 1, 1, 1, 1, 1, 0.75, 0.5]
    assert feather_mask(torch.ones(1, 3, 1), 0, 0, 0, 9)[0, :, 0].tolist() == pytest.approx([1 / 3, 1, 2 / 3])


@pytest.mark.parametrize("tapered", [True, False])
@pytest.mark.parametrize("pixels", [3, -2, 0])
def test_grow_is_grey_morphology(pixels: int, tapered: bool) -> None:
    mask = torch.rand(2, 9, 12, generator=torch.Generator().manual_seed(0))
    footprint = ndimage.generate_binary_structure(2, 1 if tapered else 2)
    change = ndimage.grey_dilation if pixels > 0 else ndimage.grey_erosion
    expected = mask.numpy()
    for _ in range(abs(pixels)):
        expected = change(expected, footprint=footprint[None])
    assert torch.equal(grow_mask(mask, pixels, tapered), torch.from_numpy(expected))


def test_growing_without_end_ends() -> None:
    mask = torch.zeros(1, 4, 5)
    mask[0, 0, 0] = 1
    assert grow_mask(mask, 16384, True).eq(1).all()
    assert grow_mask(mask, -16384, False).eq(0).all()


@pytest.mark.parametrize(
    ("operation", "expected"),
    [("multiply", 0.42), ("add", 1.0), ("subtract", 0.1), ("and", 1), ("or", 1), ("xor", 0)],
)
def test_composite(operation: str, expected: float) -> None:
    made = mask_composite(torch.full((2, 2, 3), 0.7), torch.full((1, 5, 5), 0.6), 1, 1, operation)
    assert made[0, 0].tolist() == pytest.approx([0.7] * 3)
    assert made[1, 1].tolist() == pytest.approx([0.7, expected, expected])


def test_channels() -> None:
    image = torch.tensor([0.1, 0.2, 0.3]).view(1, 1, 1, 3)
    assert image_to_mask(image, "green").item() == pytest.approx(0.2)
    with pytest.raises(UsageError, match="no alpha among them"):
        image_to_mask(image, "alpha")


def test_color() -> None:
    image = torch.tensor([[0x11, 0x22, 0x33], [0x11, 0x22, 0x34]]).view(1, 1, 2, 3) / 255.0
    assert image_color_to_mask(image, 0x112233).tolist() == [[[1, 0]]]
