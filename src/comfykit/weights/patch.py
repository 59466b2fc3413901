"""Changes to weights as values: a model with a LoRA is the same network with other patches.

A patch changes one parameter. `Patches` says which parameters have which, in the order in which they were
added, and is never changed: adding makes a new one that shares the old. Nothing is computed before a
network is placed (`comfykit.memory`) or saved.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor


class WeightPatch(Protocol):
    """A change to one parameter."""

    def apply(self, weight: Tensor, strength: float) -> Tensor:
        """The changed weight: a new tensor of the shape, type (float32) and device of `weight`."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """A patch as it is applied to a parameter: `weight * strength_model`, changed with `strength`.

    `rows` are those of the first dimension that it changes, where one layer here was several in the network
    that the patch was made for; None for all.
    """

    patch: WeightPatch
    strength: float = 1.0
    strength_model: float = 1.0
    rows: slice | None = None

    def apply(self, weight: Tensor) -> Tensor:
        """The changed weight; `weight` itself stays as it is."""
        if self.rows is not None:
            changed = weight.clone()
            changed[self.rows] = Entry(self.patch, self.strength, self.strength_model).apply(
                weight[self.rows]
            )
            return changed
        if self.strength_model != 1.0:
            weight = weight * self.strength_model
        return self.patch.apply(weight, self.strength) if self.strength else weight


@dataclass(frozen=True, slots=True, eq=False)
class Patches:
    """The patches of a network by parameter. Two are the same when they are one object."""

    _by_name: Mapping[str, tuple[Entry, ...]] = field(default_factory=dict)

    def with_entries(self, entries: Mapping[str, Entry]) -> Patches:
        """These patches, and after them one more for each parameter named."""
        added = {name: (*self.entries(name), entry) for name, entry in entries.items()}
        return Patches({**self._by_name, **added}) if added else self

    def with_patches(self, patches: Mapping[str, WeightPatch], strength: float = 1.0) -> Patches:
        """These patches, and after them others, all with the same strength."""
        return self.with_entries(
            {name: Entry(patch, strength) for name, patch in patches.items() if strength}
        )

    def below(self, prefix: str) -> Patches:
        """The patches of parameters whose names begin with `prefix`, under what follows it."""
        found = {name: entries for name, entries in self._by_name.items() if name.startswith(prefix)}
        return Patches({name[len(prefix) :]: entries for name, entries in found.items()})

    def entries(self, name: str) -> tuple[Entry, ...]:
        """The patches of a parameter, first to last; none for one that is as it was."""
        return self._by_name.get(name, ())

    def apply(self, name: str, weight: Tensor) -> Tensor:
        """What the patches make of a parameter, in float32 on its device."""
        return patched(weight, self.entries(name))

    def __contains__(self, name: object) -> bool:
        return name in self._by_name

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_name)

    def __len__(self) -> int:
        return len(self._by_name)


NO_PATCHES = Patches()


def patched(weight: Tensor, entries: Sequence[Entry]) -> Tensor:
    """What patches, one after the other, make of a weight; computed in float32 and returned so."""
    weight = weight.to(torch.float32)
    for entry in entries:
        weight = entry.apply(weight)
    return weight
