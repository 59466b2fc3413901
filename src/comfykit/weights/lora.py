"""What a LoRA file holds: patches by the name of the layer they are for, in the file's own words.

Tools that train them end their tensors' names in their own ways: kohya's sd-scripts in
`.lora_up.weight`, diffusers in `.lora.up.weight` or `_lora.up.weight`, PEFT in `.lora_B.weight`, LyCORIS in
`.hada_w1_a` or `.lokr_w1`. What stands before is the layer; `lora_names.py` finds it in a network.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from torch import Tensor

from comfykit.weights.adapters import Adapted, Adapter, Difference, Hadamard, Kronecker, LowRank, Replaced

# Endings of names that mean the same thing. Of two that fit, the longer one counts.
_ENDINGS: Mapping[str, tuple[str, ...]] = {
    "up": (
        ".lora_up.weight",
        ".lora.up.weight",
        "_lora.up.weight",
        ".lora_linear_layer.up.weight",
        ".lora_B.weight",
        ".lora_B.default.weight",
        ".lora_B",
    ),
    "down": (
        ".lora_down.weight",
        ".lora.down.weight",
        "_lora.down.weight",
        ".lora_linear_layer.down.weight",
        ".lora_A.weight",
        ".lora_A.default.weight",
        ".lora_A",
    ),
    "mid": (".lora_mid.weight",),
    "alpha": (".alpha",),
    "dora_scale": (
        ".dora_scale",
        ".lora_magnitude_vector",
        ".lora_magnitude_vector.weight",
        ".lora_magnitude_vector.default.weight",
    ),
    **{part: (f".{part}",) for part in ("hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b")},
    **{part: (f".{part}",) for part in ("hada_t1", "hada_t2", "lokr_w1", "lokr_w2", "lokr_t2")},
    **{part: (f".{part}",) for part in ("lokr_w1_a", "lokr_w1_b", "lokr_w2_a", "lokr_w2_b")},
    "weight": (".diff", ".w_norm"),
    "bias": (".diff_b", ".b_norm"),
    "set": (".set_weight",),
}
_PART_OF: Mapping[str, str] = {ending: part for part, endings in _ENDINGS.items() for ending in endings}
_LONGEST_FIRST = sorted(_PART_OF, key=len, reverse=True)

Patch: TypeAlias = Adapted | Replaced
Parts: TypeAlias = Mapping[str, Tensor]


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """What a LoRA changes of one layer."""

    weight: Patch | None = None
    bias: Patch | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Lora:
    """A LoRA: `layers` by the name that the file gives them, and the tensors that nobody understood."""

    layers: Mapping[str, Layer]
    unknown: tuple[str, ...] = ()


def parse_lora(tensors: Mapping[str, Tensor]) -> Lora:
    """Sort the tensors of a LoRA file into patches; they stay in the file until those are applied."""
    parts: dict[str, dict[str, Tensor]] = {}
    unknown: list[str] = []
    for name, tensor in tensors.items():
        ending = next((ending for ending in _LONGEST_FIRST if name.endswith(ending)), None)
        if ending is None:
            unknown.append(name)
        else:
            parts.setdefault(name.removesuffix(ending), {})[_PART_OF[ending]] = tensor
    layers = {name: _layer(found) for name, found in parts.items()}
    for name, layer in layers.items():
        if layer.weight is None and layer.bias is None:
            unknown.append(f"{name} ({', '.join(sorted(parts[name]))})")
    known = {name: layer for name, layer in layers.items() if layer.weight or layer.bias}
    return Lora(known, tuple(unknown))


def _layer(parts: Parts) -> Layer:
    bias = Adapted(Difference(parts["bias"])) if "bias" in parts else None
    if "set" in parts:
        return Layer(Replaced(parts["set"]), bias)
    adapter = next(_adapters(parts), None)
    if adapter is None:
        return Layer(None, bias)
    alpha = float(parts["alpha"]) if "alpha" in parts else None
    return Layer(Adapted(adapter, alpha, parts.get("dora_scale")), bias)


def _adapters(parts: Parts) -> Iterator[Adapter]:
    """The adapters whose factors are all there; files have one of them for a layer."""
    for make in (_low_rank, _hadamard, _kronecker, _difference):
        adapter = make(parts)
        if adapter is not None:
            yield adapter


def _low_rank(parts: Parts) -> Adapter | None:
    if {"up", "down"} <= parts.keys():
        return LowRank(parts["up"], parts["down"], parts.get("mid"))
    return None


def _hadamard(parts: Parts) -> Adapter | None:
    names = ("hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b")
    if not parts.keys() >= set(names):
        return None
    w1_a, w1_b, w2_a, w2_b = (parts[name] for name in names)
    return Hadamard(w1_a, w1_b, w2_a, w2_b, parts.get("hada_t1"), parts.get("hada_t2"))


def _kronecker(parts: Parts) -> Adapter | None:
    first, second = _factor(parts, "lokr_w1"), _factor(parts, "lokr_w2")
    if first is None or second is None:
        return None
    return Kronecker(first, second, parts.get("lokr_t2"))


def _factor(parts: Parts, name: str) -> Tensor | tuple[Tensor, Tensor] | None:
    if name in parts:
        return parts[name]
    if f"{name}_a" in parts and f"{name}_b" in parts:
        return parts[f"{name}_a"], parts[f"{name}_b"]
    return None


def _difference(parts: Parts) -> Adapter | None:
    return Difference(parts["weight"]) if "weight" in parts else None
