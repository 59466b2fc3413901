"""Hooks in a run: the network has the weights that the conditionings of each call ask for.

A hook is a patch of weights that counts while its conditioning is evaluated. What it patches
(`families.hooks`) is found once in a run; the patches for each set of strengths are kept, so that a network
that goes back to them (see `Residency.place`) finds the tensors that it had.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

from comfykit.families.hook_keyframes import Keyframes, StrengthRun
from comfykit.memory import Residency
from comfykit.models.unet import UNet
from comfykit.sampling.denoiser import Evaluation
from comfykit.sampling.noise_levels import NoiseLevels
from comfykit.weights.patch import Patches, WeightPatch


class HookSource(Protocol):
    """Where the patches of a hook come from; two hooks with one source are the same hook."""

    def unet_patches(self, network: UNet, residency: Residency) -> Mapping[str, WeightPatch]:
        """What it changes of a U-Net; raises `ModelFileError` where nothing of it fits."""
        ...

    def text_patches(
        self, networks: Mapping[str, nn.Module], residency: Residency
    ) -> Mapping[str, WeightPatch]:
        """What it changes of text encoders, by parameters with the network's slot before them."""
        ...


class WeightHook(Protocol):
    """A hook as a run needs it."""

    @property
    def source(self) -> HookSource:
        """Where its patches come from."""
        ...

    @property
    def strength_model(self) -> float:
        """How strongly it changes the U-Net, before keyframes."""
        ...

    @property
    def keyframes(self) -> Keyframes:
        """What multiplies its strength over the schedule."""
        ...


class TextHooks(Protocol):
    """Hooks on a text encoder; see `families.hooks.ClipHooks`."""

    @property
    def hooks(self) -> object:
        """HOOKS, as conditionings carry them."""
        ...

    @property
    def apply_to_conds(self) -> bool:
        """Whether conditionings carry them on."""
        ...

    @property
    def scheduled(self) -> bool:
        """Whether a prompt is encoded for each stretch of the schedule."""
        ...

    def stretches(self) -> Iterable[tuple[float, float]]:
        """Stretches of the schedule, from 0 to 1, in which the text encoder stays the same."""
        ...

    def patches(
        self, networks: Mapping[str, nn.Module], base: Patches, residency: Residency, percent: float | None
    ) -> Patches:
        """`base` and those of the hooks; with their strengths at a part of the schedule, or their own."""
        ...


class HookRun:
    """Places a U-Net with the weights of each call of one run."""

    def __init__(
        self, network: UNet, patches: Patches, dtype: torch.dtype, levels: NoiseLevels, residency: Residency
    ) -> None:
        self._network, self._base, self._dtype = network, patches, dtype
        self._levels, self._residency = levels, residency
        self._hooked = False
        self._found: dict[HookSource, Mapping[str, WeightPatch]] = {}
        self._patches: dict[tuple[tuple[WeightHook, ...], tuple[float, ...]], Patches] = {}
        self._strengths: dict[Keyframes, StrengthRun] = {}
        # Levels of all calls so far. Reading one waits for the device, so it is put off until keyframes ask.
        self._unread: list[Tensor] = []
        self._levels_seen: list[float] = []

    def place(self, call: Evaluation, keep: Collection[nn.Module] = ()) -> None:
        """Make the network ready for a call; `keep` are those that work beside it."""
        self._unread.append(call.sigma[0])
        self._hooked = self._hooked or bool(call.weight_hooks)
        if self._hooked:
            self._residency.place(
                self._network,
                self._residency.device,
                self._dtype,
                patches=self._for_hooks(call.weight_hooks),
                keep=keep,
                set_aside=True,
            )

    def _for_hooks(self, hooks: tuple[WeightHook, ...]) -> Patches:
        if not hooks:
            return self._base
        strengths = tuple(self._strength(hook) for hook in hooks)
        if (hooks, strengths) not in self._patches:
            self._patches[hooks, strengths] = self._made(hooks, strengths)
        return self._patches[hooks, strengths]

    def _made(self, hooks: Sequence[WeightHook], strengths: Sequence[float]) -> Patches:
        patches = self._base
        for hook, strength in zip(hooks, strengths, strict=True):
            if hook.source not in self._found:
                self._found[hook.source] = hook.source.unet_patches(self._network, self._residency)
            patches = patches.with_patches(self._found[hook.source], strength)
        return patches

    def _strength(self, hook: WeightHook) -> float:
        if not hook.keyframes.keyframes:
            return hook.strength_model
        self._read_levels()
        if hook.keyframes not in self._strengths:
            run = self._strengths[hook.keyframes] = StrengthRun(hook.keyframes, self._levels)
            for sigma in self._levels_seen:
                run.advance(sigma)
        return hook.strength_model * self._strengths[hook.keyframes].strength

    def _read_levels(self) -> None:
        """Tell the keyframes the levels of the calls since they were asked last."""
        for tensor in self._unread:
            sigma = float(tensor)
            self._levels_seen.append(sigma)
            for run in self._strengths.values():
                run.advance(sigma)
        self._unread.clear()
