"""Merging models: a merged model is the first one with the weights of the second as patches.

Nothing is computed or copied before the merged model is used; the second model's weights stay in its file
until then. Patches of both come along.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias

from torch import nn

from comfykit.families.components import DiffusionModel, TextEncoder
from comfykit.memory import Residency
from comfykit.weights.adapters import OtherWeight
from comfykit.weights.patch import Entry, Patches

# Factors of the first and of the second model, for a parameter.
Factors: TypeAlias = tuple[float, float]


@dataclass(frozen=True, slots=True)
class MergedModel:
    """A merged model, and the parameters of the second that the first has not, or in another size."""

    model: DiffusionModel
    left_out: tuple[str, ...] = ()


def mix(ratio: float) -> Factors:
    """Of the first model as much as `ratio` (0 to 1) says, the rest of the second."""
    return ratio, 1.0 - ratio


def by_block(ratios: Mapping[str, float], otherwise: float) -> Callable[[str], Factors]:
    """For `merge_models`: a ratio for every beginning of names; the longest that fits counts."""

    def factors(name: str) -> Factors:
        fitting = [prefix for prefix in ratios if name.startswith(prefix)]
        return mix(ratios[max(fitting, key=len)] if fitting else otherwise)

    return factors


def merge_models(
    first: DiffusionModel,
    second: DiffusionModel,
    residency: Residency,
    factors: Callable[[str], Factors],
) -> MergedModel:
    """`a * first + b * second` for every parameter, (a, b) being `factors(name)`.

    Of a parameter that has another size in the second model only `a * first` is left, as in ComfyUI: so an
    inpainting model keeps its wider input layer.
    """
    entries, left_out = _entries(first.network, second.network, second.patches, residency, factors)
    return MergedModel(replace(first, patches=first.patches.with_entries(entries)), left_out)


def merge_text_encoders(
    first: TextEncoder, second: TextEncoder, residency: Residency, factors: Factors
) -> TextEncoder:
    """`a * first + b * second` for every parameter of the networks that both have."""
    patches = first.patches
    for name, network in first.networks.items():
        other = second.networks.get(name)
        if other is not None:
            below = second.patches.below(f"{name}.")
            entries, _ = _entries(network, other, below, residency, lambda parameter: factors)
            patches = patches.with_entries({f"{name}.{key}": entry for key, entry in entries.items()})
    return replace(first, patches=patches)


def _entries(
    first: nn.Module,
    second: nn.Module,
    patches: Patches,
    residency: Residency,
    factors: Callable[[str], Factors],
) -> tuple[dict[str, Entry], tuple[str, ...]]:
    """An entry for every parameter that both networks have; the names of those that differ."""
    own, others = residency.sources(first), residency.sources(second)
    entries: dict[str, Entry] = {}
    left_out: list[str] = []
    for name, values in others.items():
        if name not in own:
            left_out.append(name)
            continue
        a, b = factors(name)
        if values.shape != own[name].shape:
            left_out.append(name)
            b = 0.0
        if (a, b) != (1.0, 0.0):
            entries[name] = Entry(OtherWeight(values, patches.entries(name)), b, a)
    return entries, tuple(left_out)
