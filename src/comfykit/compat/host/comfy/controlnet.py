"""`comfy.controlnet`: CONTROL_NET as packs have it, and as conditionings carry it under `control`.

One object per conditioning, each with the one before it as `previous_controlnet`. Those of these very classes
are ours and become `families.control.Control`; a pack's own classes are asked by `get_control` in a run.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from comfykit.compat import placing
from comfykit.compat.host.comfy.patcher_extension import copy_nested_dicts
from comfykit.errors import UsageError
from comfykit.families.control import Control, ControlModel, ControlRun
from comfykit.families.control_load import load_control
from comfykit.models.control import ControlResiduals
from comfykit.models.t2i_adapter import T2IAdapter as AdapterNetwork
from comfykit.sampling.denoiser import Evaluation
from comfykit.weights.control_lora import ControlLora as LoraSource


class StrengthType(enum.Enum):
    """How strengths go over the residuals."""

    CONSTANT = 1
    LINEAR_UP = 2


def broadcast_image_to(tensor: Tensor, target_batch_size: int, batched_number: int) -> Tensor:
    """Pictures for the rows of a call in which each side has the same ones."""
    if len(tensor) == 1:
        return tensor
    rows = target_batch_size // batched_number
    repeated = tensor.repeat(math.ceil(rows / len(tensor)), *(1,) * (tensor.ndim - 1))[:rows]
    return repeated if rows == target_batch_size else torch.cat([repeated] * batched_number)


class ControlBase:
    """What all of them have; packs subclass it."""

    def __init__(self) -> None:
        self.cond_hint_original: Any = None
        self.cond_hint: Any = None
        self.strength = 1.0
        self.timestep_percent_range = (0.0, 1.0)
        self.timestep_range: Any = None
        self.latent_format: Any = None
        self.vae: Any = None
        self.global_average_pooling = False
        self.compression_ratio = 8
        self.upscale_algorithm = "nearest-exact"
        self.extra_args: dict[str, Any] = {}
        self.previous_controlnet: Any = None
        self.extra_conds: list[str] = []
        self.strength_type = StrengthType.CONSTANT
        self.concat_mask = False
        self.extra_concat_orig: list[Any] = []
        self.extra_concat: Any = None
        self.extra_hooks: Any = None
        self.preprocess_image = lambda image: image

    def set_cond_hint(
        self,
        cond_hint: Tensor,
        strength: float = 1.0,
        timestep_percent_range: tuple[float, float] = (0.0, 1.0),
        vae: Any = None,
        extra_concat: Any = (),
    ) -> Any:
        """Take a hint [N, channels, height, width]."""
        self.cond_hint_original = cond_hint
        self.strength = strength
        self.timestep_percent_range = timestep_percent_range
        self.vae = vae
        self.extra_concat_orig = list(extra_concat)
        return self

    def set_previous_controlnet(self, controlnet: Any) -> Any:
        """Put one before it."""
        self.previous_controlnet = controlnet
        return self

    def set_extra_arg(self, argument: str, value: Any = None) -> None:
        """Note something for the network."""
        self.extra_args[argument] = value

    def pre_run(self, model: Any, percent_to_timestep_function: Any) -> None:
        """Learn the levels of a run."""
        start, end = self.timestep_percent_range
        self.timestep_range = (percent_to_timestep_function(start), percent_to_timestep_function(end))
        if self.previous_controlnet is not None:
            self.previous_controlnet.pre_run(model, percent_to_timestep_function)

    def cleanup(self) -> None:
        """Forget a run."""
        if self.previous_controlnet is not None:
            self.previous_controlnet.cleanup()
        self.cond_hint, self.extra_concat, self.timestep_range = None, None, None

    def get_models(self) -> list[Any]:
        """Models that a run must place: none, ours place themselves."""
        return [] if self.previous_controlnet is None else list(self.previous_controlnet.get_models())

    def get_extra_hooks(self) -> list[Any]:
        """Hooks that it brings."""
        before = [] if self.previous_controlnet is None else self.previous_controlnet.get_extra_hooks()
        return [*before, *([] if self.extra_hooks is None else [self.extra_hooks])]

    def inference_memory_requirements(self, dtype: Any) -> float:
        """Bytes that it computes in."""
        before = self.previous_controlnet
        return 0.0 if before is None else float(before.inference_memory_requirements(dtype))

    def copy_to(self, c: Any) -> None:
        """Give another what is set here."""
        for name in (
            "cond_hint_original",
            "strength",
            "timestep_percent_range",
            "global_average_pooling",
            "compression_ratio",
            "upscale_algorithm",
            "latent_format",
            "extra_args",
            "vae",
            "extra_conds",
            "strength_type",
            "concat_mask",
            "extra_concat_orig",
            "extra_hooks",
            "preprocess_image",
        ):
            value = getattr(self, name)
            setattr(c, name, copy_nested_dicts(value) if isinstance(value, dict) else value)

    def get_control(
        self, x_noisy: Tensor, t: Tensor, cond: Any, batched_number: int, transformer_options: Any
    ) -> Any:
        """Residuals for a call."""
        raise NotImplementedError

    def control_merge(
        self, control: Mapping[str, Any], control_prev: Mapping[str, Any] | None, output_dtype: Any
    ) -> dict[str, list[Any]]:
        """Its residuals at its strength, with those of the one before it."""
        merged: dict[str, list[Any]] = {"input": [], "middle": [], "output": []}
        for place, found in merged.items():
            for one in control.get(place, []):
                scaled = one
                if one is not None:
                    scaled = one.mean(dim=(2, 3), keepdim=True) if self.global_average_pooling else one
                    scaled = (scaled * self.strength).to(output_dtype or scaled.dtype)
                found.append(scaled)
            before = (control_prev or {}).get(place, [])
            for index, other in enumerate(before):
                if index >= len(found):
                    found.append(other)
                elif other is not None:
                    found[index] = other if found[index] is None else found[index] + other
        return merged


class _Ours(ControlBase):
    """A `ControlModel` of ours."""

    core: ControlModel
    _base: Any = None

    @classmethod
    def of(cls, core: ControlModel) -> Any:
        """What packs get for one of ours."""
        made = cls.__new__(cls)
        ControlBase.__init__(made)
        made.core = core
        made.global_average_pooling = core.pooled
        return made

    @property
    def control_model(self) -> Any:
        """The network."""
        return self.core.network

    def copy(self) -> Any:
        """The same, to be given another hint."""
        made = type(self).of(self.core)
        self.copy_to(made)
        return made

    def set_extra_arg(self, argument: str, value: Any = None) -> None:
        """Note something; `control_type` chooses among the hints that a union ControlNet knows."""
        super().set_extra_arg(argument, value)
        if argument == "control_type":
            kinds = list(value or [])
            self.core = self.core.with_kind(kinds[0] if kinds else None)

    def engine_control(self) -> Control:
        """What it is on one of our conditionings."""
        start, end = self.timestep_percent_range
        core = replace(self.core, pooled=self.global_average_pooling)
        return Control(core, self.cond_hint_original, self.strength, start, end)

    def pre_run(self, model: Any, percent_to_timestep_function: Any) -> None:
        """Learn the model of a run."""
        super().pre_run(model, percent_to_timestep_function)
        self._base = model

    def cleanup(self) -> None:
        """Forget a run."""
        super().cleanup()
        self._base = None

    def get_control(
        self, x_noisy: Tensor, t: Tensor, cond: Any, batched_number: int, transformer_options: Any
    ) -> Any:
        """Residuals for a call, as a pack's ControlNet asks the one before it."""
        before = self.previous_controlnet
        merged = None
        if before is not None:
            merged = before.get_control(x_noisy, t, cond, batched_number, transformer_options)
        run = self._base.run()
        model, residency = run.model, placing.residency()
        dtype = residency.dtype("unet") if model.dtype is None else model.dtype
        extra = {"y": cond["y"]} if "y" in cond else {}
        sides = tuple(range(batched_number))
        call = Evaluation(x_noisy, t, cond["c_crossattn"], extra, sides, controls=(self.engine_control(),))
        given = model.parametrization.scale_input(t, x_noisy)
        found = ControlRun(model.network, model.levels, residency, dtype)(
            call, given, model.levels.timestep(t)
        )
        if found is None:
            return merged
        return _merged(found, merged)


def _merged(found: ControlResiduals, before: Mapping[str, Any] | None) -> dict[str, list[Any]]:
    own = {
        "input": list(reversed(found.input)),
        "middle": [] if found.middle is None else [found.middle],
        "output": list(found.output),
    }
    base = ControlBase()
    return base.control_merge(own, before, None)


class ControlNet(_Ours):
    """A ControlNet."""

    def __init__(self, control_model: Any = None, **options: Any) -> None:
        super().__init__()
        self.core = ControlModel("", control_model)
        for name in ("global_average_pooling", "compression_ratio", "latent_format", "extra_conds"):
            if name in options:
                setattr(self, name, options[name])


class ControlLora(ControlNet):
    """A ControlNet that is made of the model's own network."""


class T2IAdapter(_Ours):
    """A T2I-Adapter."""

    def __init__(self, t2i_model: Any = None, channels_in: int = 3, *further: Any, **options: Any) -> None:
        super().__init__()
        self.core = ControlModel("", t2i_model)
        self.channels_in = channels_in


class ControlNetSD35(ControlNet):
    """A ControlNet of Stable Diffusion 3.5, which comfykit does not run."""


_CLASSES = (ControlNet, ControlLora, T2IAdapter)


def view_of(core: ControlModel) -> Any:
    """A CONTROL_NET of ours as packs see it."""
    if isinstance(core.network, AdapterNetwork):
        return T2IAdapter.of(core)
    return (ControlLora if isinstance(core.network, LoraSource) else ControlNet).of(core)


def engine_model(given: Any) -> Any:
    """The CONTROL_NET of ours that an object is a view of; one of a pack's own as it is."""
    return given.core if type(given) in _CLASSES else given


def chain_of(controls: tuple[Control | PackControlOnLink, ...]) -> Any:
    """The controls of one of our conditionings as the object that packs find under `control`."""
    chain = None
    for control in controls:
        if isinstance(control, PackControlOnLink):
            chain = control.given
            continue
        made = view_of(control.model)
        made.set_cond_hint(control.hint, control.strength, (control.start_percent, control.end_percent))
        chain = made.set_previous_controlnet(chain)
    return chain


class PackControlOnLink:
    """A ControlNet of a pack's own among the controls of one of our conditionings.

    It works in runs of models that packs changed. Elsewhere it is refused, not left out in silence.
    """

    def __init__(self, given: Any) -> None:
        self.given = given

    def check(self, unet: Any, latent_channels: int) -> None:
        """Refuse a run that is not a pack's."""
        raise UsageError(
            f"the ControlNet {type(self.given).__name__} of a custom node cannot act on our models",
            hint="sample with a node of the same pack, or apply the ControlNet with ControlNetApplyAdvanced",
        )


def split_controls(options: Mapping[str, Any]) -> tuple[tuple[Control, ...], tuple[Any, ...]]:
    """The controls of a conditioning: ours, and the object of a pack's that answers for its whole chain."""
    outermost = options.get("control")
    if outermost is None:
        given = tuple(options.get("controls", ()))
        theirs = tuple(one.given for one in given if isinstance(one, PackControlOnLink))
        return tuple(one for one in given if isinstance(one, Control)), theirs
    found: list[Control] = []
    one = outermost
    while one is not None:
        if type(one) not in _CLASSES:
            return (), (outermost,)
        found.append(one.engine_control())
        one = one.previous_controlnet
    return tuple(reversed(found)), ()


def load_controlnet(ckpt_path: str, model: Any = None, model_options: Any = None) -> Any:
    """Open a ControlNet, a Control-LoRA or a T2I-Adapter."""
    own = None
    if model is not None:
        own = dict(placing.residency().sources(model.model.diffusion_model))
    return view_of(load_control(Path(ckpt_path), own))
