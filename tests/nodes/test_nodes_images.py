from __future__ import annotations

import hashlib

import pytest
import torch
from nodes_support import Run
from PIL import Image

from comfykit.errors import UsageError
from comfykit.nodes.folders import use_folders
from comfykit.nodes.images import (
    check_picture,
    image_invert,
    image_scale,
    image_scale_by,
    load_image,
    load_image_mask,
    picture_digest,
)


def test_load_image(run: Run) -> None:
    Image.new("RGBA", (3, 2), (255, 0, 0, 0)).save(run.settings.input_dir / "a.png")
    image, mask = load_image("a.png", run.context)
    assert image[0, 0, 0].tolist() == [1.0, 0.0, 0.0]
    assert torch.equal(mask, torch.ones(1, 2, 3))


def test_load_image_from_the_output_folder(run: Run) -> None:
    run.settings.output_dir.mkdir()
    Image.new("RGB", (3, 2)).save(run.settings.output_dir / "a.png")
    assert load_image("a.png [output]", run.context)[0].shape == (1, 2, 3, 3)
    assert load_image_mask("a.png [output]", "alpha", run.context).tolist() == [[[0.0] * 3] * 2]


def test_load_image_that_is_not_there(run: Run) -> None:
    with pytest.raises(UsageError, match=r"no file 'a\.png'"):
        load_image("a.png", run.context)


def test_checks_and_fingerprints(run: Run) -> None:
    path = run.settings.input_dir / "a.png"
    path.write_bytes(b"1")
    with use_folders(run.settings):
        assert check_picture("a.png") is True
        assert "did you mean a.png?" in str(check_picture("b.png"))
        before = picture_digest(image="a.png", channel="red")
        assert before == hashlib.sha256(b"1").hexdigest()
        path.write_bytes(b"2")
        assert picture_digest(image="a.png") != before


def test_image_scale() -> None:
    image = torch.rand(2, 4, 6, 3)
    assert image_scale(image, "bilinear", 12, 12, "disabled").shape == (2, 12, 12, 3)
    assert image_scale(image, "area", 3, 0, "disabled").shape == (2, 2, 3, 3)
    assert image_scale(image, "area", 0, 8, "center").shape == (2, 8, 12, 3)
    assert image_scale(image, "area", 0, 0, "disabled") is image


def test_image_scale_by() -> None:
    image = torch.rand(1, 4, 6, 3)
    assert image_scale_by(image, "lanczos", 1.5).shape == (1, 6, 9, 3)
    assert image_scale_by(image, "nearest-exact", 0.01).shape == (1, 1, 1, 3)


def test_image_invert() -> None:
    assert image_invert(torch.tensor([0.0, 0.25, 1.0])).tolist() == [1.0, 0.75, 0.0]
