"""A node that loads all pictures of a folder."""

from __future__ import annotations

import hashlib
import math
from pathlib import Path
from typing import Annotated

import torch
from torch import Tensor

from comfykit.engine.define import combo, node
from comfykit.engine.schema import COMBO, Input
from comfykit.errors import UsageError
from comfykit.nodes.align import fit_within, resize_picture
from comfykit.nodes.folders import current_folders, inside
from comfykit.nodes.pictures import read_picture
from comfykit.nodes.types import Context, Image

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp"})
RESIZE_METHODS = ("None", "Stretch", "Crop", "Pad")


def check_folder(folder: str | None) -> bool | str:
    """Whether there is such a folder below the input folder, with pictures in it."""
    settings = current_folders()
    if folder is None or settings is None:
        return True
    try:
        pictures_in(settings.input_dir, folder)
    except UsageError as error:
        return f"{error} ({error.hint})"
    return True


def folder_digest(folder: str | None = None, resize_method: str | None = None) -> str | float:
    """Changes when a picture is added, taken away or changed."""
    settings = current_folders()
    if folder is None or settings is None:
        return math.nan
    digest = hashlib.sha256()
    for path in pictures_in(settings.input_dir, folder):
        status = path.stat()
        digest.update(f"{path.name}\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
    return digest.hexdigest()


@node(
    "LoadImageSetFromFolderNode",
    title="Load Image Dataset from Folder",
    category="loaders",
    check=check_folder,
    fingerprint=folder_digest,
)
def load_image_set_from_folder(
    context: Context,
    folder: Annotated[str, Input(COMBO, choices=())],
    resize_method: Annotated[str, combo(RESIZE_METHODS, "None")] = "None",
) -> Image:
    """Load all pictures of a folder below the input folder as one batch, in the order of their names.

    Pictures of another size than the first are stretched to it, cropped to it (from the middle) or padded
    with black; with None they are an error.
    """
    paths = pictures_in(context.settings.input_dir, folder)
    pictures = [read_picture(path)[0][:1] for path in paths]
    return torch.cat(
        [
            _fit(picture, pictures[0], resize_method, path)
            for picture, path in zip(pictures, paths, strict=True)
        ]
    )


def pictures_in(root: Path, folder: str) -> list[Path]:
    """The pictures directly in a folder below `root`; raises `UsageError` where there are none."""
    place = root / inside(folder, "the input folder")
    found = sorted(path for path in place.glob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    if not found:
        raise UsageError(
            f"no pictures in {place}", hint=f"put files that end in {', '.join(sorted(SUFFIXES))} there"
        )
    return found


def _fit(picture: Tensor, like: Tensor, method: str, path: Path) -> Tensor:
    height, width = like.shape[1:3]
    if picture.shape[1:3] == (height, width):
        return picture
    if method == "Stretch":
        return resize_picture(picture, width, height, "lanczos")
    if method == "Crop":
        return resize_picture(picture, width, height, "lanczos", "center")
    if method == "Pad":
        return fit_within(picture, width, height, "lanczos", 0.0)
    raise UsageError(
        f"{path.name} has {picture.shape[2]}x{picture.shape[1]} pixels, the first picture {width}x{height}",
        hint="set resize_method to Stretch, Crop or Pad",
    )
