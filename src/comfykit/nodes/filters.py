"""Nodes that filter pictures by what lies around each pixel."""

from __future__ import annotations

from typing import Annotated

from torch import Tensor

from comfykit.engine.define import combo, integer, node, number
from comfykit.errors import UsageError
from comfykit.nodes.canny import canny
from comfykit.nodes.kernels import convolve, gaussian_kernel, sharpening_kernel
from comfykit.nodes.morphology import MORPHS
from comfykit.nodes.types import Image


@node("ImageBlur", title="ImageBlur", category="image/postprocessing")
def image_blur(
    image: Image,
    blur_radius: Annotated[int, integer(1, 1, 31)],
    sigma: Annotated[float, number(1.0, 0.1, 10.0, 0.1)],
) -> Image:
    """Blur a picture with a Gaussian bell.

    `blur_radius` is the bell's half width in pixels; `sigma` says in units of it how wide the bell is.
    """
    return _convolved(image, gaussian_kernel(blur_radius, sigma))


@node("ImageSharpen", title="ImageSharpen", category="image/postprocessing")
def image_sharpen(
    image: Image,
    sharpen_radius: Annotated[int, integer(1, 1, 31)],
    sigma: Annotated[float, number(1.0, 0.1, 10.0)],
    alpha: Annotated[float, number(1.0, 0.0, 5.0)],
) -> Image:
    """Sharpen a picture: add ten times `alpha` of what a blur of that radius and sigma would take away."""
    return _convolved(image, sharpening_kernel(sharpen_radius, sigma, alpha)).clamp(0.0, 1.0)


@node("Morphology", title="ImageMorphology", category="image/postprocessing")
def morphology(
    image: Image,
    operation: Annotated[str, combo(tuple(MORPHS))],
    kernel_size: Annotated[int, integer(3, 3, 999)],
) -> Image:
    """Grow or shrink what is bright, channel by channel, in squares of `kernel_size` pixels a side.

    erode shrinks, dilate grows, open removes small bright spots, close small dark ones, gradient is what
    both differ by, top_hat and bottom_hat are the bright and dark spots themselves.
    """
    return MORPHS[operation](image.movedim(-1, 1), kernel_size).movedim(1, -1)


@node("Canny", title="Canny", category="image/preprocessors")
def canny_edges(
    image: Image,
    low_threshold: Annotated[float, number(0.4, 0.01, 0.99)],
    high_threshold: Annotated[float, number(0.8, 0.01, 0.99)],
) -> Image:
    """Draw the edges of a picture in white on black (Canny's detector).

    Contrasts above `high_threshold` are edges; those above `low_threshold` are when they continue one.
    """
    if low_threshold > high_threshold:
        raise UsageError(
            f"low_threshold {low_threshold} is above high_threshold {high_threshold}",
            hint="swap them: an edge begins above the high one and goes on above the low one",
        )
    return canny(image, low_threshold, high_threshold)[..., None].repeat(1, 1, 1, 3)


def _convolved(image: Tensor, kernel: Tensor) -> Tensor:
    return convolve(image.movedim(-1, 1), kernel).movedim(1, -1)
