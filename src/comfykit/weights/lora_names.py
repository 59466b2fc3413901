"""Which parameters of a network a LoRA's layers are for.

A LoRA names layers as the tool that trained it saw them: with the checkpoint's names or diffusers', with
dots or with underscores, after a word for the network. All of it is compared with the names of the
network's own parameters: a prefix says which network, the rest, dots made underscores, which layer.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from comfykit.models.unet import UNetConfig
from comfykit.weights.diffusers_names import diffusers_names
from comfykit.weights.lora import Lora
from comfykit.weights.patch import WeightPatch

# "unet"; "te1", "te2", ... for the text encoders in the order of diffusers' pipelines; or their own names,
# "clip_l", "clip_g", "clip_h".
Target: TypeAlias = str
Shape: TypeAlias = tuple[int, ...]

# How names begin, and which network follows; the first that fits decides. `te1` is the first text encoder.
_PREFIXES: tuple[tuple[str, Target], ...] = (
    (r"lora_unet_", "unet"),
    (r"lora_te1?_", "te1"),
    (r"lora_te2_", "te2"),
    (r"lora_te3_", "te3"),
    (r"text_encoders\.clip_l\.(transformer\.)?", "clip_l"),
    (r"text_encoders\.clip_g\.(transformer\.)?", "clip_g"),
    (r"text_encoders\.clip_h\.(transformer\.)?", "clip_h"),
    (r"text_encoder\.", "te1"),
    (r"text_encoder_2\.", "te2"),
    (r"text_encoder_3\.", "te3"),
    (r"unet\.", "unet"),
    (r"(base_model\.model\.)?((model\.)?diffusion_model\.)?", "unet"),
)

# diffusers once kept adapters in attention processors, beside the layers that they are for.
_PROCESSOR = re.compile(r"\.processor\b")
_TO_OUT = re.compile(r"\.to_out$")


@dataclass(frozen=True, slots=True)
class Layers:
    """The layers of a network by every name a LoRA may give them, and the shapes of its parameters."""

    by_name: Mapping[str, str]
    shapes: Mapping[str, Shape]


@dataclass(slots=True)
class Matched:
    """The parameters that a LoRA is for.

    `patches` are by network and parameter. `unmatched` are layers that the network they name does not have,
    `misfits` those that have another size there, `elsewhere` those of networks that were not asked about.
    """

    patches: dict[Target, dict[str, WeightPatch]] = field(default_factory=dict)
    unmatched: list[str] = field(default_factory=list)
    misfits: list[str] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)


def unet_layers(shapes: Mapping[str, Shape], config: UNetConfig) -> Layers:
    """Layers of a U-Net: names of the checkpoint and of diffusers."""
    layers = _layers(shapes)
    theirs = diffusers_names(layers, config)
    by_name = {_underscored(name): layer for layer, name in theirs.items()}
    return Layers(by_name | {_underscored(layer): layer for layer in layers}, shapes)


def text_layers(shapes: Mapping[str, Shape]) -> Layers:
    """Layers of a text encoder: its names, with or without the `text_model.` of files before them."""
    layers = _layers(shapes)
    plain = {_underscored(layer): layer for layer in layers}
    return Layers(plain | {f"text_model_{name}": layer for name, layer in plain.items()}, shapes)


def locate(name: str) -> tuple[Target, str]:
    """The network that the name of a LoRA's layer means, and the layer in it with underscores."""
    name = _TO_OUT.sub(".to_out.0", _PROCESSOR.sub("", name))
    for pattern, target in _PREFIXES:
        found = re.match(pattern, name)
        if found:
            return target, _underscored(name[found.end() :])
    raise AssertionError("the last prefix fits every name")


def match(lora: Lora, networks: Mapping[Target, Layers]) -> Matched:
    """Find the parameters of `networks` that a LoRA is for. A network may be listed under several targets."""
    matched = Matched()
    for name, layer in lora.layers.items():
        target, inner = locate(name)
        if target not in networks:
            matched.elsewhere.append(name)
            continue
        layers = networks[target]
        place = layers.by_name.get(inner)
        for kind, patch in (("weight", layer.weight), ("bias", layer.bias)):
            if patch is not None:
                parameter = f"{place}.{kind}"
                shape = layers.shapes.get(parameter)
                if shape is None:
                    matched.unmatched.append(name)
                elif patch.size != math.prod(shape):
                    matched.misfits.append(name)
                else:
                    matched.patches.setdefault(target, {})[parameter] = patch
    return matched


def _layers(names: Iterable[str]) -> list[str]:
    """The layers that parameters belong to, in order and once each."""
    return list(dict.fromkeys(name.rpartition(".")[0] for name in names))


def _underscored(name: str) -> str:
    return name.replace(".", "_")
