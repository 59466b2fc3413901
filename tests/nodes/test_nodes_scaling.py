from __future__ import annotations

from typing import Any

import pytest
import torch

from comfykit.engine.define import node_class
from comfykit.errors import UsageError
from comfykit.nodes.scaling import (
    RESIZE_TYPES,
    image_scale_to_max_dimension,
    image_scale_to_total_pixels,
    resize_and_pad_image,
    resize_image_mask,
    resize_images_by_longer_edge,
    resolution_selector,
)

IMAGE = torch.rand(2, 40, 60, 3)


def test_total_pixels() -> None:
    made = image_scale_to_total_pixels(IMAGE, "area", 0.01)
    assert made.shape == (2, 84, 125, 3)  # 10485 pixels of 3:2


def test_longer_side() -> None:
    assert image_scale_to_max_dimension(IMAGE, "bilinear", 30).shape == (2, 20, 30, 3)
    assert resize_images_by_longer_edge(IMAGE.transpose(1, 2), 30).shape == (2, 30, 20, 3)


def test_pad() -> None:
    made = resize_and_pad_image(torch.zeros(1, 40, 60, 3), 30, 30, "white", "nearest-exact")
    assert made.shape == (1, 30, 30, 3)
    assert made[0, :, 0, 0].tolist() == [1] * 5 + [0] * 20 + [1] * 5


@pytest.mark.parametrize(
    ("kind", "options", "size"),
    [
        ("scale dimensions", {"width": 30, "height": 0}, (20, 30)),
        ("scale dimensions", {"width": 0, "height": 80}, (80, 120)),
        ("scale dimensions", {"width": 0, "height": 0}, (40, 60)),
        ("scale dimensions", {"width": 30, "height": 30, "crop": "disabled"}, (30, 30)),
        ("scale by multiplier", {"multiplier": 0.5}, (20, 30)),
        ("scale longer dimension", {"longer_size": 30}, (20, 30)),
        ("scale shorter dimension", {"shorter_size": 20}, (20, 30)),
        ("scale width", {"width": 30}, (20, 30)),
        ("scale height", {"height": 20}, (20, 30)),
        ("scale total pixels", {"megapixels": 0.01}, (84, 125)),
        ("scale to multiple", {"multiple": 16}, (32, 48)),
        ("match size", {"match": torch.rand(1, 7, 9)}, (7, 9)),
        ("match size", {"match": torch.rand(1, 7, 9, 3)}, (7, 9)),
    ],
)
def test_resize_image_or_mask(kind: str, options: dict[str, Any], size: tuple[int, int]) -> None:
    assert kind in RESIZE_TYPES
    assert resize_image_mask(IMAGE, kind, options, "bilinear").shape == (2, *size, 3)
    assert resize_image_mask(IMAGE[..., 0], kind, options, "area").shape == (2, *size)


def test_match_needs_something_to_match() -> None:
    with pytest.raises(UsageError, match="match"):
        resize_image_mask(IMAGE, "match size", {}, "area")


def test_every_type_has_its_options() -> None:
    entry = node_class(resize_image_mask)
    assert entry is not None
    branches = entry.inputs["resize_type"].options["branches"]
    assert set(branches) == set(RESIZE_TYPES)
    assert {name for names in branches.values() for name in names} == {
        name for name in entry.inputs if "." in name
    }


def test_options_are_inputs_of_the_node() -> None:
    entry = node_class(resize_image_mask)
    assert entry is not None
    assert {"resize_type", "resize_type.width", "resize_type.match"} <= set(entry.inputs)
    given = {"input": IMAGE, "resize_type": "scale width", "resize_type.width": 30, "scale_method": "area"}
    assert entry.bind().run(**given)[0].shape == (2, 20, 30, 3)


@pytest.mark.parametrize(
    ("ratio", "megapixels", "multiple", "size"),
    [
        ("1:1 (Square)", 1.0, 8, (1024, 1024)),
        ("16:9 (Widescreen)", 0.9, 32, (1280, 736)),
        ("9:16 (Portrait Widescreen)", 1.0, 8, (768, 1368)),
    ],
)
def test_resolutions(ratio: str, megapixels: float, multiple: int, size: tuple[int, int]) -> None:
    made = resolution_selector(ratio, megapixels, multiple)
    assert made == size
