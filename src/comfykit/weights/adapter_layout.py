"""Files of T2I-Adapters: the authors' layout, and that of diffusers (`adapter.body.0.resnets.0.block1`)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from torch import Tensor

from comfykit.errors import ModelFileError
from comfykit.models.t2i_adapter import T2IAdapterConfig
from comfykit.weights.layouts import Shapes

LARGE, SMALL = 16**2, 8**2
_DIFFUSERS = re.compile(r"body\.(\d{1,2})\.resnets\.(\d{1,2})\.(.+)")


def is_adapter(names: Iterable[str]) -> bool:
    """Whether tensors of these names are those of a T2I-Adapter."""
    return any(re.match(r"(adapter\.)?body\.0\.(in_conv|block1|resnets)\b", name) for name in names)


def adapter_tensors(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors under the authors' names."""
    bare = {name.removeprefix("adapter."): tensor for name, tensor in tensors.items()}
    light = "body.0.out_conv.weight" in bare
    found = [match for name in bare if (match := _DIFFUSERS.match(name))]
    if not found:
        return bare
    blocks = 1 + max(int(match[2]) for match in found)
    return {_renamed(name, light, blocks): tensor for name, tensor in bare.items()}


def _renamed(name: str, light: bool, blocks: int) -> str:
    match = _DIFFUSERS.match(name)
    if light:
        return name.replace(".resnets.", ".body.")
    if match is not None:
        return f"body.{int(match[1]) * blocks + int(match[2])}.{match[3]}"
    level = re.match(r"body\.(\d{1,2})\.in_conv\.(.+)", name)
    return f"body.{int(level[1]) * blocks}.in_conv.{level[2]}" if level else name


def adapter_config(shapes: Shapes) -> T2IAdapterConfig:
    """Configuration of the adapter whose tensors, under the authors' names, these are.

    Raises `ModelFileError` for a layout that was never met.
    """
    light = "body.0.out_conv.weight" in shapes
    first = shapes.get("body.0.in_conv.weight" if light else "conv_in.weight", ())
    numbers = {int(name.split(".")[1]) for name in shapes if name.startswith("body.")}
    ends = "out_conv" if light else "block2"
    widths = [shapes.get(f"body.{index}.{ends}.weight", (0,))[0] for index in sorted(numbers)]
    if len(first) != 4 or not widths or 0 in widths or first[1] % SMALL or (not light and len(widths) % 4):
        raise ModelFileError("the T2I-Adapter has a layout that comfykit does not know")
    in_first = {name.split(".")[3] for name in shapes if name.startswith("body.0.body.")}
    blocks = len(in_first) if light else len(widths) // 4
    large = first[1] in (LARGE, 3 * LARGE)
    return T2IAdapterConfig(
        hint_channels=first[1] // (LARGE if large else SMALL),
        channels=tuple(widths if light else widths[blocks - 1 :: blocks]),
        blocks=blocks,
        light=light,
        large=large,
    )
