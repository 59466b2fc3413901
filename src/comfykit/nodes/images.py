"""Nodes that load, make, resize and invert pictures."""

from __future__ import annotations

from typing import Annotated

import torch

from comfykit.engine.define import combo, integer, node, number
from comfykit.engine.schema import COMBO, Input, Listing
from comfykit.nodes.folders import check_file, file_digest, find_file
from comfykit.nodes.pictures import read_channel, read_picture
from comfykit.nodes.resize import fill_in_size, resize
from comfykit.nodes.types import Context, Image, Int, Mask, UniqueId

METHODS = ("nearest-exact", "bilinear", "area", "bicubic", "lanczos")
CROPS = ("disabled", "center")
MAX_SIDE = 16384
LARGEST_SEED = 2**64 - 1

# Any name will do: it is checked where the picture is looked for. The rest is for a front end's list.
OUTPUT_PICTURE = Input(
    COMBO,
    options={
        "image_folder": "output",
        "image_upload": True,
        "remote": {
            "control_after_refresh": "first",
            "refresh_button": True,
            "route": "/internal/files/output",
        },
    },
)


def check_picture(image: str | None) -> bool | str:
    """Whether the picture is where its name says."""
    return check_file(image)


def picture_digest(image: str | None = None, channel: str | None = None) -> str | float:
    """Changes when the picture does."""
    return file_digest(image)


@node(
    "LoadImage",
    title="Load Image",
    category="image",
    output_names=("IMAGE", "MASK"),
    check=check_picture,
    fingerprint=picture_digest,
)
def load_image(
    image: Annotated[str, combo(Listing("input"), image_upload=True)], context: Context
) -> tuple[Image, Mask]:
    """Load a picture, all its frames as a batch; the mask is 1 where it is transparent."""
    return read_picture(find_file(image, context.settings))


@node(
    "LoadImageMask",
    title="Load Image (as Mask)",
    category="mask",
    check=check_picture,
    fingerprint=picture_digest,
)
def load_image_mask(
    image: Annotated[str, combo(Listing("input"), image_upload=True)],
    channel: Annotated[str, combo(("alpha", "red", "green", "blue"))],
    context: Context,
) -> Mask:
    """Load one channel of a picture as a mask; alpha is turned round, so that transparent is 1."""
    return read_channel(find_file(image, context.settings), channel)


@node(
    "LoadImageOutput",
    title="Load Image (from Outputs)",
    category="image",
    output_names=("IMAGE", "MASK"),
    check=check_picture,
    fingerprint=picture_digest,
)
def load_image_output(image: Annotated[str, OUTPUT_PICTURE], context: Context) -> tuple[Image, Mask]:
    """Load a picture that was made before: `name.png [output]`; the mask is 1 where it is transparent."""
    return read_picture(find_file(image, context.settings))


@node("EmptyImage", title="EmptyImage", category="image")
def empty_image(
    width: Annotated[int, integer(512, 1, MAX_SIDE)],
    height: Annotated[int, integer(512, 1, MAX_SIDE)],
    batch_size: Annotated[int, integer(1, 1, 4096)],
    color: Annotated[int, integer(0, 0, 0xFFFFFF, display="color")],
) -> Image:
    """Make pictures of one colour, given as the number 0xRRGGBB."""
    values = torch.tensor([color >> 16, color >> 8 & 0xFF, color & 0xFF], dtype=torch.float32) / 255.0
    return values.expand(batch_size, height, width, 3).clone()


@node(
    "GetImageSize",
    title="Get Image Size",
    category="image",
    output_names=("width", "height", "batch_size"),
)
def get_image_size(image: Image, unique_id: UniqueId) -> tuple[Int, Int, Int]:
    """Give the width and height of a picture, and how many there are in its batch."""
    return image.shape[2], image.shape[1], image.shape[0]


@node("ImageScale", title="Upscale Image", category="image/upscaling")
def image_scale(
    image: Image,
    upscale_method: Annotated[str, combo(METHODS)],
    width: Annotated[int, integer(512, 0, MAX_SIDE)],
    height: Annotated[int, integer(512, 0, MAX_SIDE)],
    crop: Annotated[str, combo(CROPS)],
) -> Image:
    """Resize to a size in pixels; a side that is 0 keeps the aspect ratio, two leave the picture as it is."""
    if width == height == 0:
        return image
    size = fill_in_size(width, height, image.shape[2], image.shape[1])
    return resize(image.movedim(-1, 1), *size, upscale_method, crop).movedim(1, -1)


@node("ImageScaleBy", title="Upscale Image By", category="image/upscaling")
def image_scale_by(
    image: Image,
    upscale_method: Annotated[str, combo(METHODS)],
    scale_by: Annotated[float, number(1.0, 0.01, 8.0)],
) -> Image:
    """Resize both sides by a factor."""
    width, height = (max(1, round(side * scale_by)) for side in (image.shape[2], image.shape[1]))
    return resize(image.movedim(-1, 1), width, height, upscale_method).movedim(1, -1)


@node("ImageInvert", title="Invert Image", category="image")
def image_invert(image: Image) -> Image:
    """Invert the colours."""
    return 1.0 - image


@node("ImageAddNoise", title="ImageAddNoise", category="image")
def image_add_noise(
    image: Image,
    seed: Annotated[int, integer(0, 0, LARGEST_SEED, control_after_generate=True)],
    strength: Annotated[float, number(0.5, 0.0, 1.0)],
) -> Image:
    """Add Gaussian noise of that standard deviation to the colours; transparency stays.

    The same seed gives the same noise on every machine.
    """
    noise = torch.randn(image.shape, generator=torch.Generator().manual_seed(seed))
    noise[..., 3:] = 0.0
    return (image + strength * noise.to(image)).clamp_(0.0, 1.0)
