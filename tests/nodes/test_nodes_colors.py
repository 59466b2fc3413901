from __future__ import annotations

import numpy as np
import pytest
import torch

from comfykit.errors import UsageError
from comfykit.nodes.colors import color_to_rgb_int, image_quantize, image_rgb_to_yuv, image_yuv_to_rgb
from comfykit.nodes.quantize import DITHERS, bayer_matrix


def test_yuv_goes_there_and_back() -> None:
    image = torch.rand(2, 4, 5, 4)
    parts = image_rgb_to_yuv(image)
    assert [part.shape for part in parts] == [(2, 4, 5, 3)] * 3
    torch.testing.assert_close(image_yuv_to_rgb(*parts), image[..., :3])


def test_yuv_of_red() -> None:
    luma, blue, red = image_rgb_to_yuv(torch.tensor([1.0, 0.0, 0.0]).view(1, 1, 1, 3))
    assert luma[0, 0, 0].tolist() == pytest.approx([0.299] * 3)
    assert blue[0, 0, 0, 0].item() == pytest.approx(0.5 - 0.564 * 0.299)
    assert red[0, 0, 0, 0].item() == pytest.approx(0.5 + 0.713 * 0.701)


def test_bayer_matrices() -> None:
    assert (bayer_matrix(2) * 4 + 1.5).tolist() == [[0, 2], [3, 1]]
    for side in (4, 8, 16):
        matrix = bayer_matrix(side) * side**2 + (side**2 - 1) / 2
        assert sorted(matrix.flatten().tolist()) == list(range(side**2))
        assert np.abs(bayer_matrix(side)).max() < 0.5


@pytest.mark.parametrize("dither", DITHERS)
def test_quantize_keeps_to_its_colors(dither: str) -> None:
    ramp = torch.linspace(0, 1, 64).view(1, 1, 64, 1).expand(2, 16, -1, 3)
    made = image_quantize(ramp, 4, dither)
    assert made.shape == (2, 16, 64, 3)
    assert len(made[0].flatten(0, 1).unique(dim=0)) <= 4
    assert (made.mean() - ramp.mean()).abs() < 0.05


def test_dithering_brings_means_nearer() -> None:
    ramp = torch.linspace(0, 1, 64).view(1, 1, 64, 1).expand(1, 64, -1, 3)

    def error(dither: str) -> float:
        made = image_quantize(ramp, 3, dither)
        blocks = (made - ramp)[..., 0].unfold(1, 8, 8).unfold(2, 8, 8).mean((-1, -2))
        return float(blocks[..., 2:-2].abs().max())  # no mixture reaches beyond the palette's ends

    assert error("floyd-steinberg") < error("none") / 2
    assert error("bayer-8") < error("none")


def test_hexadecimal_colors() -> None:
    assert color_to_rgb_int("#0a9299") == (0x0A9299, "#0a9299", 1.0)
    assert color_to_rgb_int("#FF000080") == (0xFF0000, "#FF0000", 128 / 255)
    with pytest.raises(UsageError, match="no colour"):
        color_to_rgb_int("red")
