from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage

from comfykit.errors import UsageError
from comfykit.nodes.canny import canny
from comfykit.nodes.filters import canny_edges, image_blur, image_sharpen, morphology
from comfykit.nodes.kernels import convolve, gaussian_kernel, mirrored, sharpening_kernel
from comfykit.nodes.morphology import MORPHS


def picture(height: int = 9, width: int = 12) -> torch.Tensor:
    return torch.rand(2, height, width, 3, generator=torch.Generator().manual_seed(0))


def test_kernels_sum_to_one() -> None:
    for kernel in (gaussian_kernel(3, 0.4), sharpening_kernel(3, 0.4, 0.8)):
        assert kernel.shape == (7, 7)
        assert kernel.sum().item() == pytest.approx(1.0, abs=1e-6)
    bell = gaussian_kernel(2, 0.5)[2]
    assert (bell[0] / bell[2]).item() == pytest.approx(np.exp(-2.0))  # one radius is two sigma


def test_convolution_mirrors_the_borders() -> None:
    samples = picture().movedim(-1, 1)
    kernel = gaussian_kernel(3, 0.5)
    expected = ndimage.convolve(samples.numpy(), kernel.numpy()[None, None], mode="mirror")
    torch.testing.assert_close(convolve(samples, kernel), torch.from_numpy(expected))


def test_a_picture_smaller_than_the_margin_is_mirrored_again() -> None:
    line = torch.tensor([1.0, 2.0, 3.0]).view(1, 1, 1, 3)
    assert mirrored(line, 4)[0, 0, 0].tolist() == [1, 2, 3, 2, 1, 2, 3, 2, 1, 2, 3]
    assert mirrored(line[..., :1], 2).shape == (1, 1, 5, 5)


def test_blur_and_sharpen() -> None:
    flat = torch.full((1, 5, 5, 3), 0.4)
    torch.testing.assert_close(image_blur(flat, 31, 10.0), flat)
    torch.testing.assert_close(image_sharpen(flat, 2, 1.0, 1.0), flat)
    image = picture()
    assert image_blur(image, 2, 1.0).std() < image.std()
    sharp = image_sharpen(image, 2, 1.0, 1.0)
    assert sharp.std() > image.std()
    assert 0 <= sharp.min() <= sharp.max() <= 1


@pytest.mark.parametrize("operation", MORPHS)
def test_morphology_is_scipys(operation: str) -> None:
    names = {
        "erode": "grey_erosion",
        "dilate": "grey_dilation",
        "open": "grey_opening",
        "close": "grey_closing",
        "gradient": "morphological_gradient",
        "bottom_hat": "black_tophat",
        "top_hat": "white_tophat",
    }
    image = picture()
    expected = getattr(ndimage, names[operation])(image.numpy(), size=(1, 5, 5, 1))
    torch.testing.assert_close(morphology(image, operation, 5), torch.from_numpy(expected))


def test_morphology_with_a_kernel_larger_than_the_picture() -> None:
    image = picture(4, 5)
    assert torch.equal(morphology(image, "dilate", 999), image.amax((1, 2), keepdim=True).expand_as(image))


def square() -> torch.Tensor:
    image = torch.zeros(1, 20, 24, 3)
    image[:, 6:14, 8:18] = 1.0
    return image


def test_canny_finds_the_outline() -> None:
    edges = canny(square(), 0.2, 0.5)[0]
    assert edges[2].sum() == 0
    assert edges[10].nonzero()[:, 0].tolist() in ([7, 17], [8, 17], [7, 18], [8, 18])
    assert edges[9:11, 10:16].sum() == 0


def test_weak_edges_count_where_they_continue_strong_ones() -> None:
    """A line that fades: all of it is linked to its strong end, a faint line of its own is not."""
    image = torch.zeros(1, 40, 30, 1)
    image[0, :, 15:, 0] = torch.linspace(1.0, 0.35, 40)[:, None]
    image[0, :, 15] /= 2  # the edge lies on a column, not between two that would be equally steep
    both, strong = canny(image, 0.3, 2.0)[0], canny(image, 1.99, 2.0)[0]
    assert both[2:-2, 15].eq(1).all()
    assert 0 < strong.sum() < both.sum()
    assert not canny(image[:, 25:], 0.3, 2.0).any()


def test_canny_node() -> None:
    made = canny_edges(square().expand(2, -1, -1, -1), 0.2, 0.5)
    assert made.shape == (2, 20, 24, 3)
    assert set(made.unique().tolist()) == {0.0, 1.0}
    with pytest.raises(UsageError, match="above high_threshold"):
        canny_edges(square(), 0.6, 0.5)
