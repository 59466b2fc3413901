from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional as F

from comfykit.families.framing import crop_to_aspect
from comfykit.nodes.pictures import read_picture, to_picture
from comfykit.nodes.resize import bislerp, fill_in_size, resize, slerp

METHODS = ("nearest-exact", "bilinear", "area", "bicubic", "lanczos", "bislerp")


def noise(*shape: int) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("crop", ["disabled", "center"])
@pytest.mark.parametrize("size", [(7, 5), (16, 9), (1, 1)])
def test_every_method_gives_the_size(method: str, crop: str, size: tuple[int, int]) -> None:
    width, height = size
    resized = resize(noise(2, 3, 12, 10), width, height, method, crop)
    assert resized.shape == (2, 3, height, width)
    assert resized.dtype == torch.float32
    assert resized.isfinite().all()


@pytest.mark.parametrize("method", [method for method in METHODS if method != "lanczos"])
def test_the_same_size_changes_nothing(method: str) -> None:
    samples = noise(1, 4, 6, 8)
    torch.testing.assert_close(resize(samples, 8, 6, method), samples)


@pytest.mark.parametrize("method", ["nearest-exact", "bilinear", "bicubic", "lanczos"])
def test_pictures_are_scaled_as_recorded(shared: Path, method: str) -> None:
    """Bilinear weights of other PyTorch releases differ in the last bit, so a grey level may be one off."""
    images, _ = read_picture(shared / "parity/input/photo_96x64.png")
    scaled = resize(images.movedim(-1, 1), 80, 80, method, "center").movedim(1, -1)
    with Image.open(shared / f"parity/cases/image_scale_{method}/expected/image_00001_.png") as picture:
        expected = np.asarray(picture, np.int16)
    difference = np.abs(np.asarray(to_picture(scaled[0]), np.int16) - expected)
    assert difference.max() <= (1 if method == "bilinear" else 0)


# Crop


@pytest.mark.parametrize(
    ("old", "new", "kept"),
    [
        ((96, 64), (80, 80), (64, 64)),
        ((64, 96), (80, 80), (64, 64)),
        ((10, 10), (20, 10), (10, 6)),  # 2.5 rows too many on either side: 2
        ((9, 4), (1, 1), (5, 4)),  # 2.5 columns
        ((7, 4), (1, 1), (3, 4)),  # 1.5 columns: 2
        ((100, 1), (1, 100), (2, 1)),  # something always stays
        ((8, 8), (512, 512), (8, 8)),
    ],
)
def test_crop_keeps_the_middle(old: tuple[int, int], new: tuple[int, int], kept: tuple[int, int]) -> None:
    columns = torch.arange(old[0]).expand(1, 1, old[1], old[0])
    cropped = crop_to_aspect(columns, *new)
    assert (cropped.shape[-1], cropped.shape[-2]) == kept
    assert int(cropped[0, 0, 0, 0]) == (old[0] - kept[0]) // 2


# Lanczos


def test_lanczos_goes_through_eight_bits() -> None:
    samples = torch.full((1, 3, 4, 4), 0.5)
    assert resize(samples, 8, 8, "lanczos").unique().tolist() == pytest.approx([127 / 255])
    assert resize(samples * 4 - 1, 8, 8, "lanczos").unique().tolist() == [1.0]


@pytest.mark.parametrize("channels", [1, 2, 5])
def test_lanczos_of_planes(channels: int) -> None:
    samples = noise(1, channels, 6, 6)
    planes = torch.cat([resize(samples[:, [plane]], 9, 4, "lanczos") for plane in range(channels)], dim=1)
    assert torch.equal(resize(samples, 9, 4, "lanczos"), planes)


# Spherical interpolation


def test_slerp_turns_at_even_speed() -> None:
    start, end = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])
    for share in (0.0, 0.25, 0.5, 1.0):
        angle = share * math.pi / 2
        expected = torch.tensor([math.cos(angle), math.sin(angle)])
        torch.testing.assert_close(slerp(start, end, torch.tensor([share])), expected)


def test_slerp_interpolates_lengths_linearly() -> None:
    half = slerp(torch.tensor([1.0, 0.0]), torch.tensor([0.0, 3.0]), torch.tensor([0.5]))
    torch.testing.assert_close(half, torch.tensor([math.sqrt(2.0), math.sqrt(2.0)]))


@pytest.mark.parametrize(
    ("start", "end", "middle"),
    [
        ([2.0, 0.0], [4.0, 0.0], [3.0, 0.0]),  # parallel
        ([2.0, 0.0], [-4.0, 0.0], [-1.0, 0.0]),  # opposed
        ([0.0, 0.0], [0.0, 4.0], [0.0, 2.0]),  # no direction
        ([0.0, 0.0], [0.0, 0.0], [0.0, 0.0]),
    ],
)
def test_slerp_without_a_plane_to_turn_in(start: list[float], end: list[float], middle: list[float]) -> None:
    found = slerp(torch.tensor(start), torch.tensor(end), torch.tensor([0.5]))
    torch.testing.assert_close(found, torch.tensor(middle))


def test_bislerp_of_parallel_vectors_is_bilinear() -> None:
    lengths = noise(2, 1, 5, 7) + 0.1
    samples = lengths * torch.tensor([3.0, 4.0, 0.0, 1.0]).view(1, 4, 1, 1)
    bilinear = F.interpolate(samples, size=(9, 12), mode="bilinear")
    torch.testing.assert_close(bislerp(samples, 12, 9), bilinear)


def test_bislerp_keeps_the_length_that_bilinear_loses() -> None:
    samples = noise(1, 4, 8, 8) - 0.5
    samples /= samples.norm(dim=1, keepdim=True)
    torch.testing.assert_close(bislerp(samples, 16, 16).norm(dim=1), torch.ones(1, 16, 16))
    assert F.interpolate(samples, size=(16, 16), mode="bilinear").norm(dim=1).mean() < 0.95


def test_bislerp_keeps_the_type() -> None:
    assert bislerp(noise(1, 4, 4, 4).half(), 6, 6).dtype == torch.float16


# Sizes


@pytest.mark.parametrize(
    ("asked", "least", "expected"),
    [
        ((80, 40), 1, (80, 40)),
        ((0, 40), 1, (60, 40)),
        ((80, 0), 1, (80, 53)),
        ((8, 8), 64, (64, 64)),
        ((0, 8), 64, (96, 64)),
        ((8, 0), 64, (64, 64)),
    ],
)
def test_sizes(asked: tuple[int, int], least: int, expected: tuple[int, int]) -> None:
    assert fill_in_size(*asked, 96, 64, least) == expected
