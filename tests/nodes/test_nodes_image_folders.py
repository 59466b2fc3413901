from __future__ import annotations

import pytest
from nodes_support import Run
from PIL import Image

from comfykit.errors import UsageError
from comfykit.nodes.folders import use_folders
from comfykit.nodes.image_folders import check_folder, folder_digest, load_image_set_from_folder


@pytest.fixture
def folder(run: Run) -> str:
    place = run.settings.input_dir / "set"
    place.mkdir()
    Image.new("RGB", (8, 4), "red").save(place / "a.png")
    Image.new("RGB", (4, 4), "lime").save(place / "b.jpg")
    (place / "notes.txt").write_text("x")
    return "set"


@pytest.mark.parametrize(("method", "green"), [("Stretch", 32), ("Crop", 32), ("Pad", 16)])
def test_pictures_of_different_sizes(run: Run, folder: str, method: str, green: int) -> None:
    made = load_image_set_from_folder(run.context, folder, method)
    assert made.shape == (2, 4, 8, 3)
    assert made[0, 0, 0].tolist() == [1, 0, 0]
    assert (made[1, ..., 1] > 0.9).sum() == green


def test_they_must_fit_where_nothing_is_said(run: Run, folder: str) -> None:
    with pytest.raises(UsageError, match=r"b\.jpg has 4x4 pixels, the first picture 8x4"):
        load_image_set_from_folder(run.context, folder)


def test_checks(run: Run, folder: str) -> None:
    with use_folders(run.settings):
        assert check_folder(folder) is True
        assert "no pictures" in str(check_folder("other"))
        assert "leads out" in str(check_folder("../.."))
        before = folder_digest(folder)
        (run.settings.input_dir / "set/b.jpg").unlink()
        assert folder_digest(folder) != before
