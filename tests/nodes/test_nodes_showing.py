from __future__ import annotations

import pytest
import torch
from nodes_support import Run
from PIL import Image

from comfykit.nodes.showing import as_text, image_compare, mask_preview, preview_any


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("狐", "狐"),
        (1.5, "1.5"),
        (True, "True"),
        (None, "None"),
        ({"a": [1]}, '{\n    "a": [\n        1\n    ]\n}'),
        ({1, 2}, "{1, 2}"),
        (torch.tensor(1.0), "tensor(1.)"),
    ],
)
def test_any_value_has_a_text(value: object, said: str) -> None:
    assert as_text(value) == said
    assert preview_any(value).ui == {"text": [said]}


def test_mask_preview(run: Run) -> None:
    (file,) = mask_preview(torch.full((1, 4, 6), 0.5), run.context).ui["images"]
    assert file["type"] == "temp"
    with Image.open(run.settings.temp_dir / file["filename"]) as picture:
        assert (picture.size, picture.getpixel((0, 0))) == ((6, 4), (127, 127, 127))


def test_compare(run: Run) -> None:
    shown = image_compare(run.context, torch.zeros(2, 4, 6, 3)).ui
    assert list(shown) == ["a_images"]
    assert len(shown["a_images"]) == 2
    assert image_compare(run.context).ui == {}
