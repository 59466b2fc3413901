"""CONTROL_NET, what conditionings carry of it, and its part in a run.

On a link a conditioning has `controls`, a tuple of `Control`: all of them act, and their residuals are
summed. With `control_apply_to_uncond` the other side of guidance shares them (`lend_controls`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional as F

from comfykit.errors import ModelFileError, UsageError
from comfykit.families.framing import crop_to_aspect
from comfykit.memory import Residency
from comfykit.models.control import ControlResiduals
from comfykit.models.controlnet import HINT_STRIDES, ControlNet
from comfykit.models.t2i_adapter import T2IAdapter
from comfykit.models.unet import UNet
from comfykit.sampling.conditioning import repeat_to_batch
from comfykit.sampling.denoiser import Evaluation
from comfykit.sampling.noise_levels import NoiseLevels

CELL = math.prod(HINT_STRIDES)
"""Side of the square of a hint's pixels that becomes one place of the latent."""


HintNetwork: TypeAlias = ControlNet | T2IAdapter
"""What makes residuals of a hint."""


class ControlSource(Protocol):
    """Makes ControlNets for U-Nets: a Control-LoRA."""

    def network_for(self, unet: UNet) -> ControlNet:
        """The ControlNet for a U-Net; raises `ModelFileError` where it does not fit."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class ControlModel:
    """CONTROL_NET: a ControlNet, what makes one of a model, or a T2I-Adapter.

    `name` is that of its file. With `pooled` every residual is its mean over the picture, which tells
    style and not place. `kind` is the type of hints, where the network knows several.
    """

    name: str
    network: HintNetwork | ControlSource
    pooled: bool = False
    kind: int | None = None

    def with_kind(self, kind: int | None) -> ControlModel:
        """The same for hints of a type, None for any; raises `UsageError` for one that it does not know."""
        union = self.network.union if isinstance(self.network, ControlNet) else None
        if kind is not None and union is not None and kind >= union.types:
            raise UsageError(
                f"the ControlNet {self.name} knows {union.types} types of hints, and this is not one of them",
                hint="types from 'tile' on need the ProMax version of a union ControlNet",
            )
        return replace(self, kind=None if union is None else kind)

    def network_for(self, unet: UNet) -> HintNetwork:
        """The network that works beside this U-Net."""
        return self.network if isinstance(self.network, HintNetwork) else self.network.network_for(unet)


@dataclass(frozen=True, slots=True, eq=False)
class Control:
    """A ControlNet that acts on a conditioning.

    `hint` [N, channels, height, width] in 0 to 1, of any size, is repeated for the pictures of a batch. It
    acts with `strength` (1 is what it was trained with) between two parts of the schedule, 0 to 1.
    """

    model: ControlModel
    hint: Tensor
    strength: float = 1.0
    start_percent: float = 0.0
    end_percent: float = 1.0

    def check(self, unet: UNet, latent_channels: int) -> None:
        """Raise `ModelFileError` or `UsageError` where it cannot work with a model, saying why."""
        network = self.model.network_for(unet)
        for what, (own, wanted) in _to_match(network, unet, latent_channels).items():
            if own != wanted:
                raise ModelFileError(
                    f"the ControlNet {self.model.name} does not fit the model: {what}: {own}, not {wanted}",
                    hint="take a ControlNet that was made for the family of the model",
                    name=self.model.name,
                )
        pictures, channels = self.hint.shape[:2]
        if pictures == 0 or channels < hint_channels(network):
            raise UsageError(
                f"the hint of the ControlNet {self.model.name} is {pictures} pictures of {channels} "
                f"channels, and it looks at {hint_channels(network)} channels"
            )


def hint_channels(network: HintNetwork) -> int:
    """How many channels of a hint a network looks at."""
    return network.hint_channels if isinstance(network, ControlNet) else network.config.hint_channels


def _to_match(network: HintNetwork, unet: UNet, latent_channels: int) -> Mapping[str, tuple[Any, Any]]:
    """What of a network and of a U-Net must be the same, by its name."""
    if isinstance(network, T2IAdapter):
        features = network.config.channels[: len(network.places)]
        here = tuple(dict(enumerate(unet.skip_channels)).get(place) for place in network.places)
        return {
            "levels": (network.levels, len(unet.config.channel_mult)),
            "widths of its features": (features, here[: len(features)]),
        }
    ours, theirs = network.config, unet.config
    return {
        "widths of its blocks": (network.skip_channels, unet.skip_channels),
        "width of prompts": (ours.context_dim or theirs.context_dim, theirs.context_dim),
        "width of y": (ours.adm_in_channels or theirs.adm_in_channels, theirs.adm_in_channels),
        "latent channels": (ours.in_channels, latent_channels),
    }


def check_controls(controls: Sequence[Control], unet: UNet, latent_channels: int) -> tuple[Control, ...]:
    """The same controls, as a tuple, once it is known that each can work with a model."""
    for control in controls:
        control.check(unet, latent_channels)
    return tuple(controls)


def lend_controls(
    positive: Sequence[Sequence[Any]], negative: Sequence[Sequence[Any]]
) -> Sequence[Sequence[Any]]:
    """The negative side (as on a link) with the ControlNets that the positive side means for both.

    They are those of conditionings with `control_apply_to_uncond`, given to the negative ones in turn; where
    there are more of them, a negative one counts once with each. Conditionings of an area neither give
    nor take, and a negative side with ControlNets of its own takes none.
    """
    lent = [
        options["controls"]
        for _, options in positive
        if options.get("control_apply_to_uncond") and options.get("controls") and _everywhere(options)
    ]
    takers = [index for index, (_, options) in enumerate(negative) if _everywhere(options)]
    if not lent or not takers or any(negative[index][1].get("controls") for index in takers):
        return negative
    result = list(negative)
    for number, controls in enumerate(lent):
        index = takers[number % len(takers)]
        embedding, options = negative[index]
        entry = [embedding, {**options, "controls": controls}]
        if number < len(takers):
            result[index] = entry
        else:
            result.append(entry)
    return result


def _everywhere(options: Mapping[str, Any]) -> bool:
    bounded = options.get("mask") is not None and options.get("set_area_to_bounds", False)
    return options.get("area") is None and not bounded


@dataclass(slots=True, eq=False)
class _Ready:
    """A control in a run: its network, the noise levels it acts at, and its hint as read for each size."""

    network: HintNetwork
    start_sigma: float
    end_sigma: float
    read: dict[tuple[int, int], tuple[Tensor, ...]] = field(default_factory=dict)

    @property
    def always(self) -> bool:
        return self.start_sigma == math.inf and self.end_sigma <= 0.0


class ControlRun:
    """The ControlNets beside a U-Net in one run, in the type that it computes in."""

    def __init__(self, unet: UNet, levels: NoiseLevels, residency: Residency, dtype: torch.dtype) -> None:
        self._unet, self._levels = unet, levels
        self._residency, self._dtype = residency, dtype
        self._ready: dict[Control, _Ready] = {}

    def __call__(self, call: Evaluation, x: Tensor, timesteps: Tensor) -> ControlResiduals | None:
        """Their residuals for a call; `x` [rows, channels, h, w] and `timesteps` as the U-Net is given them.

        None where no control acts.
        """
        total: ControlResiduals | None = None
        for control in call.controls:
            ready = self._prepare(control)
            # Reading sigma waits for the device, so it is done only where ranges ask for it.
            if ready.always or ready.end_sigma <= float(call.sigma[0]) <= ready.start_sigma:
                found = self._evaluate(control, ready, call, x, timesteps)
                total = found if total is None else total.plus(found)
        return total

    @property
    def networks(self) -> tuple[HintNetwork, ...]:
        """Those that are in use."""
        return tuple(ready.network for ready in self._ready.values())

    def _prepare(self, control: Control) -> _Ready:
        if control not in self._ready:
            network = control.model.network_for(self._unet)
            keep = (self._unet, *self.networks)
            self._residency.place(network, self._residency.device, self._dtype, keep=keep)
            start, end = control.start_percent, control.end_percent
            self._ready[control] = _Ready(
                network,
                self._levels.percent_to_sigma(start) if start > 0.0 else math.inf,
                self._levels.percent_to_sigma(end) if end < 1.0 else 0.0,
            )
        return self._ready[control]

    def _evaluate(
        self, control: Control, ready: _Ready, call: Evaluation, x: Tensor, timesteps: Tensor
    ) -> ControlResiduals:
        rows, size = x.shape[0] // len(call.sides), (x.shape[2], x.shape[3])
        if size not in ready.read:
            ready.read[size] = _read(ready.network, control.hint[:rows], size, x.device, control.model.kind)
        read = tuple(_for_rows(features, rows, len(call.sides)) for features in ready.read[size])
        network, kind = ready.network, control.model.kind
        if isinstance(network, T2IAdapter):
            found = network.residuals(read)
        else:
            found = network(x, *read, timesteps, call.context, call.extra.get("y"), kind)
        if control.model.pooled:
            found = found.map(lambda one: one.mean(dim=(2, 3), keepdim=True).expand_as(one))
        return found.map(lambda one: one * control.strength)


def _read(
    network: HintNetwork, hint: Tensor, size: tuple[int, int], device: torch.device, kind: int | None
) -> tuple[Tensor, ...]:
    """What a network makes of a hint for a latent of `size` (height, width), once for all steps."""
    if isinstance(network, T2IAdapter):
        return network.read_hint(_fitted(hint, size, network.config.unshuffle).to(device))
    return (network.read_hint(_fitted(hint[:, : network.hint_channels], size).to(device), kind),)


def _for_rows(features: Tensor, rows: int, sides: int) -> Tensor:
    """Features of hints for the pictures of every side, `rows` each; those of one hint serve all."""
    return features if features.shape[0] == 1 else repeat_to_batch(features, rows).repeat(sides, 1, 1, 1)


def _fitted(hint: Tensor, size: tuple[int, int], multiple: int = CELL) -> Tensor:
    """The middle of a hint in the size of a latent's pixels, or in the next multiple of that."""
    height, width = (math.ceil(side * CELL / multiple) * multiple for side in size)
    return F.interpolate(crop_to_aspect(hint, width, height), size=(height, width), mode="nearest-exact")
