"""Text encoders in the layout of OpenCLIP, which SD 2.x and SDXL checkpoints have.

Its names, queries, keys and values in one matrix, and a projection that multiplies from the right
(https://github.com/mlfoundations/open_clip) become the names and matrices of `ClipText`: views of the
same tensors.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from torch import Tensor

_PLACES = {
    "token_embedding.weight": "embeddings.token_embedding.weight",
    "positional_embedding": "embeddings.position_embedding.weight",
    "ln_final.weight": "final_layer_norm.weight",
    "ln_final.bias": "final_layer_norm.bias",
}
_BLOCK = re.compile(r"transformer\.resblocks\.(\d+)\.(.+)")
_IN_PROJECTION = re.compile(r"attn\.in_proj_(weight|bias)")
_IN_BLOCK = {
    "ln_1": "layer_norm1",
    "ln_2": "layer_norm2",
    "attn.out_proj": "self_attn.out_proj",
    "mlp.c_fc": "mlp.fc1",
    "mlp.c_proj": "mlp.fc2",
}

_LAYER = re.compile(r"encoder\.layers\.(\d+)\.(.+)")
_PROJECTION = re.compile(r"self_attn\.[qkv]_proj\.(weight|bias)")
_OUT_OF_BLOCK = {ours: theirs for theirs, ours in _IN_BLOCK.items()}


def from_open_clip(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of an encoder under the names of `ClipText`; those that it has no use for are left out."""
    return {name: tensor for given in tensors.items() for name, tensor in _renamed(*given)}


def _renamed(name: str, tensor: Tensor) -> Iterator[tuple[str, Tensor]]:
    block = _BLOCK.fullmatch(name)
    if block:
        yield from _in_block(f"encoder.layers.{block[1]}.", block[2], tensor)
    elif name == "text_projection":
        yield "text_projection.weight", tensor.T
    elif name == "text_projection.weight":
        yield name, tensor
    elif name in _PLACES:
        yield _PLACES[name], tensor


def _in_block(layer: str, name: str, tensor: Tensor) -> Iterator[tuple[str, Tensor]]:
    fused = _IN_PROJECTION.fullmatch(name)
    if fused:
        for part, rows in zip("qkv", tensor.chunk(3), strict=True):
            yield f"{layer}self_attn.{part}_proj.{fused[1]}", rows
        return
    module, _, kind = name.rpartition(".")
    if module in _IN_BLOCK:
        yield f"{layer}{_IN_BLOCK[module]}.{kind}", tensor


@dataclass(frozen=True, slots=True)
class Stacked:
    """A tensor in OpenCLIP's layout: those of `ClipText` whose rows it holds, one below the other."""

    parts: tuple[str, ...]
    transposed: bool = False


def to_open_clip(names: Iterable[str]) -> dict[str, Stacked]:
    """The way back: what OpenCLIP's tensors are made of, by name, for those of `ClipText`."""
    places = {ours: theirs for theirs, ours in _PLACES.items()}
    made: dict[str, Stacked] = {}
    for name in names:
        layer = _LAYER.fullmatch(name)
        if name == "text_projection.weight":
            made["text_projection"] = Stacked((name,), transposed=True)
        elif layer is None:
            made[places[name]] = Stacked((name,))
        elif fused := _PROJECTION.fullmatch(layer[2]):
            theirs = f"transformer.resblocks.{layer[1]}.attn.in_proj_{fused[1]}"
            own = f"encoder.layers.{layer[1]}.self_attn."
            made[theirs] = Stacked(tuple(f"{own}{part}_proj.{fused[1]}" for part in "qkv"))
        else:
            module, _, kind = layer[2].rpartition(".")
            made[f"transformer.resblocks.{layer[1]}.{_OUT_OF_BLOCK[module]}.{kind}"] = Stacked((name,))
    return made
