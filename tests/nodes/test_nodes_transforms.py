from __future__ import annotations

import pytest
import torch

from comfykit.errors import UsageError
from comfykit.nodes.transforms import (
    image_crop,
    image_crop_region,
    image_flip,
    image_pad_for_outpaint,
    image_rotate,
    image_stitch,
    outpaint_feather,
)


def grid(height: int, width: int) -> torch.Tensor:
    """A picture whose pixels are numbered row by row."""
    return torch.arange(float(height * width)).view(1, height, width, 1).expand(-1, -1, -1, 3)


def test_crop() -> None:
    assert image_crop(grid(4, 6), 2, 2, 3, 1)[0, ..., 0].tolist() == [[9, 10], [15, 16]]
    assert image_crop(grid(4, 6), 9, 9, 5, 3)[0, ..., 0].tolist() == [[23]]
    assert image_crop(grid(4, 6), 9, 9, 99, 99)[0, ..., 0].tolist() == [[23]]


def test_crop_region() -> None:
    region = {"x": 4, "y": 2, "width": 9, "height": 9}
    assert image_crop_region(grid(4, 6), region)[0, ..., 0].tolist() == [[16, 17], [22, 23]]
    with pytest.raises(UsageError, match="crop_region"):
        image_crop_region(grid(4, 6), {"x": 1})


def test_flip_and_rotate() -> None:
    image = grid(2, 3)
    assert image_flip(image, "x-axis: vertically")[0, ..., 0].tolist() == [[3, 4, 5], [0, 1, 2]]
    assert image_flip(image, "y-axis: horizontally")[0, ..., 0].tolist() == [[2, 1, 0], [5, 4, 3]]
    assert image_rotate(image, "90 degrees")[0, ..., 0].tolist() == [[3, 0], [4, 1], [5, 2]]
    assert image_rotate(image, "180 degrees")[0, ..., 0].tolist() == [[5, 4, 3], [2, 1, 0]]
    assert image_rotate(image, "270 degrees")[0, ..., 0].tolist() == [[2, 5], [1, 4], [0, 3]]
    assert torch.equal(image_rotate(image, "none"), image)


@pytest.mark.parametrize(
    ("direction", "matched", "size"),
    [("right", True, (4, 6 + 3 + 8)), ("up", True, (4 + 3 + 3, 6)), ("left", False, (8, 6 + 3 + 16))],
)
def test_stitch_sizes(direction: str, matched: bool, size: tuple[int, int]) -> None:
    first, second = torch.zeros(1, 4, 6, 3), torch.ones(3, 8, 16, 4)
    made = image_stitch(first, direction, matched, 3, "red", second)
    height, width = size
    extra = {"right": (0, 1), "left": (0, 1), "up": (1, 0)}[direction]  # an odd band is widened by one
    assert made.shape == (3, height + extra[0], width + extra[1], 4)


def test_stitch_order_and_band() -> None:
    first, second = torch.zeros(1, 2, 2, 3), torch.ones(1, 2, 2, 3)
    assert image_stitch(first, "right", True, 2, "blue", second)[0, 0, :, 0].tolist() == [0, 0, 0, 0, 1, 1]
    assert image_stitch(first, "left", True, 2, "blue", second)[0, 0, :, 2].tolist() == [1, 1, 1, 1, 0, 0]
    assert image_stitch(first, "right", True, 0, "white") is first


def test_unmatched_stitch_pads_with_black() -> None:
    made = image_stitch(torch.ones(1, 2, 2, 3), "right", False, 0, "white", torch.ones(1, 5, 2, 3))
    assert made[0, :, 0, 0].tolist() == [0, 1, 1, 0, 0]


def test_outpaint() -> None:
    image = torch.zeros(2, 30, 40, 3)
    padded, mask = image_pad_for_outpaint(image, 8, 0, 16, 24, 10)
    assert padded.shape == (2, 54, 64, 3)
    assert padded[0, 0, 0].tolist() == [0.5] * 3
    assert mask.shape == (1, 54, 64)
    assert mask[0, :, :8].eq(1).all()
    assert mask[0, 0, 8:20].tolist() == pytest.approx([(10 - min(d, 10)) ** 2 / 100 for d in range(12)])
    assert mask[0, 0, 8 + 20].item() == 0  # no margin above, no feather there


def test_outpaint_of_a_small_picture_has_no_feather() -> None:
    assert not outpaint_feather(20, 40, (8, 8, 8, 8), 10).any()
    assert outpaint_feather(21, 40, (8, 8, 8, 8), 10).any()
