"""HOOKS: changes to weights that travel with conditionings, and with text encoders.

A hook is a LoRA, or another model's weights taken for one, with a strength for the diffusion model and one
for its text encoder. It changes neither of them by itself: what it is attached to says when it counts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from torch import Tensor, nn

from comfykit.errors import ModelFileError
from comfykit.families.hook_keyframes import NO_KEYFRAMES, Keyframes
from comfykit.families.hook_run import HookSource
from comfykit.families.load import Checkpoint
from comfykit.families.lora import text_patches, unet_patches
from comfykit.memory import Residency
from comfykit.models.unet import UNet
from comfykit.weights.adapters import Towards
from comfykit.weights.lora import Lora
from comfykit.weights.patch import Patches, WeightPatch


@dataclass(frozen=True, slots=True, eq=False)
class LoraSource:
    """A LoRA file."""

    lora: Lora

    def unet_patches(self, network: UNet, residency: Residency) -> Mapping[str, WeightPatch]:
        """Its layers among those of a U-Net."""
        return unet_patches(self.lora, network)

    def text_patches(
        self, networks: Mapping[str, nn.Module], residency: Residency
    ) -> Mapping[str, WeightPatch]:
        """Its layers among those of text encoders."""
        return text_patches(self.lora, networks)


@dataclass(frozen=True, slots=True, eq=False)
class ModelSource:
    """A checkpoint, as the difference between its weights and those of the model that is hooked.

    At strength 1 it stands in the model's place, between 0 and 1 it is mixed with it.
    """

    checkpoint: Checkpoint

    def unet_patches(self, network: UNet, residency: Residency) -> Mapping[str, WeightPatch]:
        """The parameters that both U-Nets have in the same size."""
        found = _towards(self.checkpoint.model.network, network, residency)
        if not found:
            raise ModelFileError(
                "nothing in the hooked checkpoint fits the model: it is of the family "
                f"{self.checkpoint.model.family.title}",
                hint="take a checkpoint of the family of the model",
            )
        return found

    def text_patches(
        self, networks: Mapping[str, nn.Module], residency: Residency
    ) -> Mapping[str, WeightPatch]:
        """The parameters that the text encoders of both have in the same size."""
        theirs = self.checkpoint.clip.networks
        return {
            f"{slot}.{name}": patch
            for slot, network in networks.items()
            if slot in theirs
            for name, patch in _towards(theirs[slot], network, residency).items()
        }


def _towards(target: nn.Module, network: nn.Module, residency: Residency) -> dict[str, WeightPatch]:
    values: Mapping[str, Tensor] = residency.sources(target)
    return {
        name: Towards(values[name], own)
        for name, own in residency.sources(network).items()
        if name in values and values[name].shape == own.shape and own.is_floating_point()
    }


@dataclass(frozen=True, slots=True)
class Hook:
    """One hook; `keyframes` change both strengths over the schedule."""

    source: HookSource
    strength_model: float
    strength_clip: float
    keyframes: Keyframes = NO_KEYFRAMES


@dataclass(frozen=True, slots=True)
class Hooks:
    """Hooks that count together, in the order in which they are applied."""

    hooks: tuple[Hook, ...] = ()

    def with_more(self, other: Hooks) -> Hooks:
        """These and others; a hook that is here already stays as it is here."""
        here = {id(hook.source) for hook in self.hooks}
        return Hooks((*self.hooks, *(hook for hook in other.hooks if id(hook.source) not in here)))

    def with_keyframes(self, keyframes: Keyframes) -> Hooks:
        """The same hooks with these keyframes in the place of their own."""
        return Hooks(tuple(replace(hook, keyframes=keyframes) for hook in self.hooks))

    def for_model(self) -> tuple[Hook, ...]:
        """Those that change a diffusion model."""
        return tuple(hook for hook in self.hooks if hook.strength_model)

    def for_text(self) -> tuple[Hook, ...]:
        """Those that change text encoders."""
        return tuple(hook for hook in self.hooks if hook.strength_clip)


NO_HOOKS = Hooks()


@dataclass(frozen=True, slots=True, eq=False)
class ClipHooks:
    """Hooks on a text encoder, and what becomes of them after it.

    With `apply_to_conds` conditionings carry them on. With `scheduled` a prompt is encoded for every stretch
    of the schedule in which the hooks' keyframes are the same; else with the hooks' own strengths.
    """

    hooks: Hooks
    apply_to_conds: bool = True
    scheduled: bool = False
    _made: dict[tuple[Patches, tuple[float, ...]], Patches] = field(default_factory=dict, repr=False)

    def patches(
        self, networks: Mapping[str, nn.Module], base: Patches, residency: Residency, percent: float | None
    ) -> Patches:
        """`base` and those of the hooks, at a part of the schedule or without keyframes."""
        strengths = self._strengths(percent)
        if (base, strengths) not in self._made:
            patches = base
            for hook, strength in zip(self.hooks.for_text(), strengths, strict=True):
                patches = patches.with_patches(hook.source.text_patches(networks, residency), strength)
            self._made[base, strengths] = patches
        return self._made[base, strengths]

    def stretches(self) -> Iterator[tuple[float, float]]:
        """Stretches of the schedule, from 0 to 1, in which the text encoder stays the same."""
        frames = [frame for hook in self.hooks.for_text() for frame in hook.keyframes.keyframes]
        inner = {frame.start_percent for frame in frames if 0.0 < frame.start_percent < 1.0}
        start = 0.0
        for percent in sorted(inner):
            if self._strengths(percent) != self._strengths(start):
                yield start, percent
                start = percent
        yield start, 1.0

    def _strengths(self, percent: float | None) -> tuple[float, ...]:
        """The strength of each hook for the text encoder."""
        return tuple(
            hook.strength_clip * (1.0 if percent is None else hook.keyframes.strength_at(percent))
            for hook in self.hooks.for_text()
        )
