"""ComfyUI's `node_helpers`: small things that nodes share."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import torch
from PIL import ImageFile
from torch import Tensor

Result = TypeVar("Result")


def conditioning_set_values(
    conditioning: list[Any], values: Mapping[str, Any] = {}, append: bool = False
) -> list[list[Any]]:
    """A conditioning with further options; with `append`, lists are put behind those that are there."""
    changed = []
    for embedding, options, *_ in conditioning:
        new = dict(options)
        for name, value in values.items():
            old = new.get(name) if append else None
            new[name] = value if old is None else old + value
        changed.append([embedding, new])
    return changed


def pillow(function: Callable[..., Result], *args: Any, **kwargs: Any) -> Result:
    """Call a function of Pillow; once more, forgiving files that are cut off, where it fails."""
    try:
        return function(*args, **kwargs)
    except (OSError, ValueError):
        strict = ImageFile.LOAD_TRUNCATED_IMAGES
        ImageFile.LOAD_TRUNCATED_IMAGES = True
        try:
            return function(*args, **kwargs)
        finally:
            ImageFile.LOAD_TRUNCATED_IMAGES = strict


def hasher() -> Any:
    """What makes the hashes by which equal uploads are found: call it with bytes."""
    return hashlib.sha256


def string_to_torch_dtype(string: str) -> torch.dtype | None:
    """The type that "fp32", "fp16" or "bf16" names."""
    return {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}.get(string)


def image_alpha_fix(destination: Tensor, source: Tensor) -> tuple[Tensor, Tensor]:
    """Two pictures [..., channels] with as many channels: the one with fewer gets opaque ones, or is cut."""
    if destination.shape[-1] < source.shape[-1]:
        source = source[..., : destination.shape[-1]]
    elif destination.shape[-1] > source.shape[-1]:
        more = destination.shape[-1] - source.shape[-1]
        source = torch.nn.functional.pad(source, (0, more), value=1.0)
    return destination, source
