"""Pictures between files and tensors: IMAGE [batch, height, width, channels] and MASK, both 0 to 1."""

from __future__ import annotations

import contextlib
import json
import struct
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps, ImageSequence, UnidentifiedImageError
from PIL.PngImagePlugin import PngInfo
from torch import Tensor

from comfykit.errors import UsageError

MAX_FRAMES = 4096
MAX_PIXELS = 2**29  # of all frames together; they take 12 bytes each
NO_MASK = (64, 64)  # the size of a mask that stands for "no transparency"

_CHANNELS = {1: "L", 3: "RGB", 4: "RGBA"}
_MODES_16_BIT = ("I;16", "I;16L", "I;16B", "I;16N")


def read_picture(path: Path) -> tuple[Tensor, Tensor]:
    """Every frame of a picture as RGB [frames, height, width, 3], and what is transparent in them as mask.

    The mask is 1 where a frame is transparent, and zeros [frames, 64, 64] where none has transparency.
    Frames of another size than the first are left out. Raises `UsageError` for what is no picture.
    """
    with _opened(path) as picture:
        frames = [(_rgb(frame), _transparency(frame)) for frame in _frames(picture)]
    size = frames[0][0].shape
    kept = [frame for frame in frames if frame[0].shape == size]
    images = torch.stack([image for image, _ in kept])
    if all(mask is None for _, mask in kept):
        return images, torch.zeros(len(kept), *NO_MASK)
    return images, torch.stack([torch.zeros(size[:2]) if mask is None else mask for _, mask in kept])


def read_channel(path: Path, channel: str) -> Tensor:
    """One channel of a picture's first frame as mask [1, height, width]; alpha is turned round."""
    with _opened(path) as picture:
        frame = _eight_bit(ImageOps.exif_transpose(picture)).convert("RGBA")
        values = _unit(np.asarray(frame.getchannel(channel[0].upper())))
    return (1.0 - values if channel == "alpha" else values)[None]


def to_picture(image: Tensor) -> Image.Image:
    """A picture of a tensor [height, width, 1, 3 or 4]; values are cut off at 0 and 1, fractions dropped."""
    if image.ndim != 3 or image.shape[-1] not in _CHANNELS:
        raise UsageError(
            f"a tensor of shape {list(image.shape)} is no picture",
            hint="pictures have [height, width, channels] with 1, 3 or 4 channels",
        )
    scaled = image.detach().to("cpu", torch.float32) * 255.0
    pixels = scaled.nan_to_num_(0.0).clamp_(0.0, 255.0).to(torch.uint8).numpy()
    return Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)


def write_png(picture: Image.Image, path: Path, texts: Mapping[str, str], compress_level: int) -> None:
    """Write a PNG with text chunks. A text beyond Latin-1 goes into an iTXt chunk."""
    info = PngInfo()
    for keyword, text in texts.items():
        info.add_text(keyword, text)
    picture.save(path, format="PNG", pnginfo=info, compress_level=compress_level)


def metadata(prompt: Mapping[str, Any] | None, extra: Mapping[str, Any] | None) -> dict[str, str]:
    """What a saved file carries: `prompt` and one text for every further entry, each JSON in ASCII."""
    entries: dict[str, Any] = {**(extra or {})}
    if prompt is not None:
        entries = {"prompt": prompt, **{name: value for name, value in entries.items() if name != "prompt"}}
    return {name: json.dumps(value) for name, value in entries.items()}


def is_png_keyword(name: str) -> bool:
    """Whether a text chunk may have this name: 1 to 79 Latin-1 characters that can be printed."""
    return 0 < len(name) < 80 and name.isprintable() and all(ord(character) < 256 for character in name)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """The open picture; what Pillow says about a broken file or too many pixels becomes a `UsageError`."""
    try:
        with warnings.catch_warnings():
            # Pillow warns from half the size on that it refuses.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path) as picture:
                yield picture
    except Image.DecompressionBombError as error:
        raise UsageError(
            f"{path.name} has too many pixels to be opened", hint="make it smaller first"
        ) from error
    except UnidentifiedImageError as error:
        raise UsageError(f"{path.name} is not a picture of a kind that Pillow reads") from error
    except (OSError, SyntaxError, ValueError, EOFError, struct.error) as error:
        raise UsageError(f"{path.name} is broken: {error}", hint="download or save it again") from error


def _frames(picture: Image.Image) -> Iterator[Image.Image]:
    """Upright frames. Of a phone's MPO only the first: the others are previews or the second eye."""
    if picture.format == "MPO":
        yield ImageOps.exif_transpose(picture)
        return
    most = min(MAX_FRAMES, MAX_PIXELS // (picture.width * picture.height))
    for number, frame in enumerate(ImageSequence.Iterator(picture)):
        if number == most:
            raise UsageError(f"the picture has more than the {most} frames of its size that are read")
        yield ImageOps.exif_transpose(frame)


def _rgb(frame: Image.Image) -> Tensor:
    """[height, width, 3]; 16-bit and float pictures keep their precision."""
    if frame.mode in _MODES_16_BIT or frame.mode in ("I", "F"):
        return torch.from_numpy(_deep(frame))[..., None].expand(-1, -1, 3)
    return _unit(np.asarray(frame.convert("RGB")))


def _transparency(frame: Image.Image) -> Tensor | None:
    """[height, width], 1 where transparent; None for a frame without alpha."""
    if frame.mode == "P" and "transparency" in frame.info:
        frame = frame.convert("RGBA")
    if "A" not in frame.getbands():
        return None
    return 1.0 - _unit(np.asarray(frame.getchannel("A")))


def _unit(pixels: np.ndarray[Any, Any]) -> Tensor:
    values = pixels.astype(np.float32)
    values /= 255.0
    return torch.from_numpy(values)


def _deep(frame: Image.Image) -> np.ndarray[Any, Any]:
    """One channel of more than 8 bits as float32, 0 to 1; floats already are."""
    pixels = np.asarray(frame).astype(np.float32)
    return pixels if frame.mode == "F" else np.clip(pixels / 65535.0, 0.0, 1.0)


def _eight_bit(frame: Image.Image) -> Image.Image:
    """The same picture in a mode that Pillow converts to RGBA without cutting values off."""
    if frame.mode in _MODES_16_BIT or frame.mode in ("I", "F"):
        return Image.fromarray((_deep(frame) * 255.0).clip(0.0, 255.0).astype(np.uint8))
    return frame
