from __future__ import annotations

import pytest
import torch
from torch import Tensor

from comfykit.errors import UsageError
from comfykit.nodes.contact_sheet import image_grid


def grid(images: list[Tensor], columns: int = 2, side: int = 32, padding: int = 4) -> Tensor:
    return image_grid(images, [columns], [side], [side], [padding])


def test_pictures_lie_row_by_row() -> None:
    pictures = torch.rand(3, 32, 32, 3)
    sheet = grid([pictures[:2], pictures[2:]])
    assert sheet.shape == (1, 68, 68, 3)
    assert torch.equal(sheet[0, :32, :32], pictures[0])
    assert torch.equal(sheet[0, :32, 36:], pictures[1])
    assert torch.equal(sheet[0, 36:, :32], pictures[2])
    assert sheet[0, 32:36].max() == 0
    assert sheet[0, :, 32:36].max() == 0
    assert sheet[0, 36:, 36:].max() == 0, "the cell that is left over"


def test_no_padding() -> None:
    pictures = torch.rand(4, 32, 32, 3)
    assert torch.equal(grid([pictures], columns=4, padding=0), torch.cat(tuple(pictures), 1)[None])


def test_pictures_are_fitted_into_cells() -> None:
    sheet = grid([torch.ones(1, 64, 128, 3)], columns=1)
    assert sheet.shape == (1, 32, 32, 3)
    rows = sheet[0, :, 16, 0]
    assert rows[8:24].min() > 0.99
    assert torch.equal(torch.cat((rows[:8], rows[24:])), torch.zeros(16))


def test_alpha_is_dropped_and_gray_becomes_colour() -> None:
    sheet = grid([torch.rand(1, 32, 32, 4), torch.full((1, 32, 32, 1), 0.5)])
    assert sheet.shape == (1, 32, 68, 3)
    assert sheet[0, :, 36:].unique().tolist() == [0.5]


def test_no_pictures() -> None:
    with pytest.raises(UsageError, match="no pictures"):
        grid([])
