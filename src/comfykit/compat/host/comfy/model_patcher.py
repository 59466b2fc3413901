"""`comfy.model_patcher`: MODEL as packs have it.

A `ModelPatcher` is a copy of a model that a pack may change: its network is shared (`model`), what is
changed is its own. Of a diffusion model it keeps what our nodes changed as `core`, a `DiffusionModel`;
`engine_model` puts both together for our nodes. It also wraps any other network of a pack's own.
"""

from __future__ import annotations

import copy
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from comfykit.compat import placing
from comfykit.compat.host.comfy import latent_formats, model_base, model_sampling, patcher_extension
from comfykit.compat.host.comfy.lora import as_weight_patch
from comfykit.compat.host.comfy.patcher_extension import CallbacksMP, PatcherInjection, WrappersMP
from comfykit.compat.modules import lacking
from comfykit.compat.pack_model import PackHost
from comfykit.compat.patcher_extras import HasExtras
from comfykit.compat.patcher_options import (
    HasOptions,
    create_model_options_clone,
    set_model_options_patch_replace,
    set_model_options_post_cfg_function,
    set_model_options_pre_cfg_function,
)
from comfykit.families.components import DiffusionModel
from comfykit.sampling.noise_levels import NoiseLevels
from comfykit.weights.patch import Entry

__all__ = [
    "CallbacksMP",
    "ModelPatcher",
    "PatcherInjection",
    "WrappersMP",
    "create_model_options_clone",
    "set_model_options_patch_replace",
    "set_model_options_post_cfg_function",
    "set_model_options_pre_cfg_function",
]

Options = dict[str, Any]
PREFIX = "diffusion_model."


def create_hook_patches_clone(orig_hook_patches: Mapping[Any, Any]) -> dict[Any, Any]:
    """The same of patches that hooks bring."""
    return {
        ref: {key: list(some) for key, some in patches.items()} for ref, patches in orig_hook_patches.items()
    }


def get_key_weight(model: nn.Module, key: str) -> tuple[Any, Any, Any]:
    """A parameter by its name, and two functions that it would be converted by: none."""
    found: Any = model
    for part in key.split("."):
        found = getattr(found, part)
    return found, None, None


def wipe_lowvram_weight(m: nn.Module) -> None:
    """Nothing: weights are not kept in two places."""


class ModelPatcher(HasOptions, HasExtras):
    """A copy of a model with changes of its own."""

    def __init__(
        self,
        model: Any,
        load_device: Any,
        offload_device: Any,
        size: int = 0,
        weight_inplace_update: bool = False,
    ) -> None:
        self.model = model
        self.core: DiffusionModel | None = model.core if isinstance(model, model_base.BaseModel) else None
        self.load_device = (
            torch.device(load_device) if load_device is not None else placing.residency().device
        )
        self.offload_device = offload_device
        self.weight_inplace_update = weight_inplace_update
        self.size = size
        self.model_options: Options = {"transformer_options": {}}
        self.patches: dict[str, list[tuple[Any, ...]]] = {}
        self.backup: dict[str, Any] = {}
        self.object_patches: dict[str, Any] = {}
        self.object_patches_backup: dict[str, Any] = {}
        self.attachments: dict[str, Any] = {}
        self.additional_models: dict[str, list[Any]] = {}
        self.callbacks: dict[str, dict[Any, list[Callable[..., Any]]]] = {}
        self.wrappers: dict[str, dict[Any, list[Callable[..., Any]]]] = {}
        self.injections: dict[str, list[PatcherInjection]] = {}
        self.is_injected = False
        self.is_clip = False
        self.parent: ModelPatcher | None = None
        self.patches_uuid = uuid.uuid4()
        self.hook_patches: dict[Any, Any] = {}
        self.forced_hooks: Any = None
        self.cached_patcher_init: Any = None

    @classmethod
    def of(cls, core: DiffusionModel) -> ModelPatcher:
        """What packs get for a model of ours."""
        base = model_base.view_of(core)
        made = cls(base, placing.residency().device, torch.device("cpu"))
        made.core = replace(core, host=None)
        if (
            not _same_levels(core.levels, base.core.levels)
            or core.parametrization != base.core.parametrization
        ):
            made.object_patches["model_sampling"] = model_sampling.view_of(core.levels, core.parametrization)
        if core.family.latent_format != base.core.family.latent_format:
            made.object_patches["latent_format"] = latent_formats.of(core.family.latent_format)
        if isinstance(core.host, PackHost):
            core.host.restore(made)
        base.__dict__["_patcher"] = made
        return made

    def engine_model(self) -> DiffusionModel:
        """The model for our nodes; one that packs changed by functions is run in `PackHost`'s way."""
        core = self.core
        if core is None:
            raise TypeError(f"a {type(self.model).__name__} is no diffusion model")
        sampling = self.object_patches.get("model_sampling")
        if sampling is not None:
            levels, parametrization = model_sampling.engine_parts(sampling)
            core = replace(core, levels=levels, parametrization=parametrization)
        return replace(core, host=PackHost(self) if self.is_changed() else None)

    def is_changed(self) -> bool:
        """Whether a pack changed it by more than weights, levels and parametrization."""
        options = {name: value for name, value in self.model_options.items() if name != "transformer_options"}
        objects = {*self.object_patches} - {"model_sampling", "latent_format"}
        told = self.model_options.get("transformer_options") or {}
        held = (self.attachments, self.callbacks, self.wrappers, self.injections, self.additional_models)
        return bool(options or told or objects or type(self) is not ModelPatcher or any(held))

    # Copies

    def clone(self) -> Any:
        """A copy that shares the network."""
        made = copy.copy(self)
        for name in ("object_patches", "attachments", "backup", "object_patches_backup", "hook_patches"):
            setattr(made, name, dict(getattr(self, name)))
        for name in ("patches", "additional_models", "injections"):
            setattr(made, name, {key: list(value) for key, value in getattr(self, name).items()})
        for name in ("callbacks", "wrappers"):
            setattr(made, name, patcher_extension.copy_nested_dicts(getattr(self, name)))
        made.model_options = create_model_options_clone(self.model_options)
        made.parent = self
        for key, value in self.attachments.items():
            if hasattr(value, "on_model_patcher_clone"):
                made.attachments[key] = value.on_model_patcher_clone()
        self._call(CallbacksMP.ON_CLONE, made)
        return made

    def is_clone(self, other: Any) -> bool:
        """Whether both share a network."""
        return getattr(other, "model", None) is self.model

    def clone_has_same_weights(self, clone: Any) -> bool:
        """Whether both share a network and have the same patches of it."""
        return self.is_clone(clone) and self.patches_uuid == clone.patches_uuid

    # Objects and weights

    def set_model_compute_dtype(self, dtype: torch.dtype) -> None:
        """The type to compute in."""
        if self.core is not None:
            self.core = replace(self.core, dtype=dtype)

    def add_object_patch(self, name: str, obj: Any) -> None:
        """Put an object in the place of one of the model's, during runs."""
        self.object_patches[name] = obj

    def get_model_object(self, name: str) -> Any:
        """An object of the model, as this copy has it."""
        if name in self.object_patches:
            return self.object_patches[name]
        found: Any = self.model
        for part in name.split("."):
            found = getattr(found, part)
        return found

    def model_patches_to(self, device: Any) -> None:
        """Move what patches hold to a device, or to a type."""
        told = self.model_options["transformer_options"]
        wrapper = self.model_options.get("model_function_wrapper")
        patches = [one for some in told.get("patches", {}).values() for one in some]
        replaced = [one for some in told.get("patches_replace", {}).values() for one in some.values()]
        for patch in (*patches, *replaced, wrapper):
            if hasattr(patch, "to"):
                patch.to(device)

    def model_dtype(self) -> Any:
        """The type of the weights."""
        found = getattr(self.model, "get_dtype", None)
        return found() if found is not None else next(iter(self.model.parameters())).dtype

    def model_state_dict(self, filter_prefix: str | None = None) -> dict[str, Tensor]:
        """The weights by name."""
        found: dict[str, Tensor] = self.model.state_dict()
        return {name: value for name, value in found.items() if name.startswith(filter_prefix or "")}

    def state_dict_for_saving(self, *state_dicts: Any) -> dict[str, Tensor]:
        """The weights of a checkpoint, patched."""
        given = [one for one in state_dicts if isinstance(one, dict)]
        found = {name: self._patched(name, value) for name, value in self.model_state_dict().items()}
        saved = {f"model.{name}": value for name, value in found.items() if name.startswith(PREFIX)}
        for one in given:
            saved |= one
        return saved

    def add_patches(
        self, patches: Mapping[Any, Any], strength_patch: float = 1.0, strength_model: float = 1.0
    ) -> list[Any]:
        """Change weights: values by parameter; returns the names that the model has."""
        known = dict(self.model.named_parameters()) | dict(self.model.named_buffers())
        applied = []
        entries: dict[str, Entry] = {}
        for key, value in patches.items():
            name, offset, function = (*key, None, None)[:3] if isinstance(key, tuple) else (key, None, None)
            if name not in known:
                continue
            applied.append(key)
            told = (strength_patch, value, strength_model, offset, function)
            self.patches.setdefault(name, []).append(told)
            rows = None if offset is None else slice(offset[1], offset[1] + offset[2])
            entries[name] = Entry(as_weight_patch(value), strength_patch, strength_model, rows)
        self._add_entries(entries)
        self.patches_uuid = uuid.uuid4()
        return applied

    def _add_entries(self, entries: Mapping[str, Entry]) -> None:
        if self.core is not None:
            inner = {name.removeprefix(PREFIX): entry for name, entry in entries.items()}
            self.core = replace(self.core, patches=self.core.patches.with_entries(inner))

    def get_key_patches(self, filter_prefix: str | None = None) -> dict[str, list[Any]]:
        """Weights with the patches on them, by name, as merges read them."""
        return {
            name: [(value, lambda weight: weight), *self.patches.get(name, [])]
            for name, value in self.model_state_dict(filter_prefix).items()
        }

    def _patched(self, name: str, weight: Tensor) -> Tensor:
        if self.core is not None and name.removeprefix(PREFIX) in self.core.patches:
            return self.core.patches.apply(name.removeprefix(PREFIX), weight).to(weight.dtype)
        return weight

    def patch_weight_to_device(self, key: str, device_to: Any = None, inplace_update: bool = False) -> None:
        """Counted as missing: weights are patched when a network is placed, not one by one."""
        lacking("comfy.model_patcher", "ModelPatcher.patch_weight_to_device")

    def calculate_weight(self, patches: Any, weight: Tensor, key: str, **further: Any) -> Tensor:
        """What patches make of a weight."""
        from comfykit.compat.host.comfy import lora

        return lora.calculate_weight(patches, weight, key)

    # Where it is

    @property
    def current_device(self) -> torch.device:
        """Where the weights are."""
        return self.current_loaded_device()

    def current_loaded_device(self) -> torch.device:
        """Where the weights are."""
        first = next(iter(self.model.parameters()), None)
        return torch.device("cpu") if first is None else first.device

    def model_size(self) -> int:
        """Bytes of the weights."""
        if self.size == 0:
            self.size = sum(tensor.nbytes for tensor in (*self.model.parameters(), *self.model.buffers()))
        return self.size

    def loaded_size(self) -> int:
        """Bytes of the weights that are where it computes."""
        return self.model_size() if self.current_loaded_device() == self.load_device else 0

    def lowvram_patch_counter(self) -> int:
        """Patches that are computed on the fly: none."""
        return 0

    def memory_required(self, input_shape: Any) -> float:
        """About how many bytes a call takes."""
        found = getattr(self.model, "memory_required", None)
        return 0.0 if found is None else float(found(input_shape))

    def load(self, device_to: Any = None, **further: Any) -> None:
        """Place the weights."""
        if self.core is not None:
            self.engine_model().predictor(placing.residency())
            self.model.__dict__["_patcher"] = self
        else:
            self.model.to(self.load_device if device_to is None else device_to)
        self._call(CallbacksMP.ON_LOAD, self, device_to, 0, False, True)

    def patch_model(self, device_to: Any = None, **further: Any) -> Any:
        """Place the weights, patched."""
        self.load(device_to)
        return self.model

    def unpatch_model(self, device_to: Any = None, unpatch_weights: bool = True) -> None:
        """Take the weights away again."""
        if self.core is not None:
            placing.residency().unload(self.core.network)
        elif device_to is not None:
            self.model.to(device_to)

    def partially_load(self, device_to: Any, extra_memory: int = 0, force_patch_weights: bool = False) -> int:
        """Place the weights, all of them; returns their bytes."""
        self.load(device_to)
        return self.model_size()

    def partially_unload(self, device_to: Any, memory_to_free: int = 0) -> int:
        """Take the weights away, all of them; returns their bytes."""
        self.detach()
        return self.model_size()

    def detach(self, unpatch_all: bool = True) -> Any:
        """Take the weights away."""
        self.unpatch_model(self.offload_device)
        self._call(CallbacksMP.ON_DETACH, self, unpatch_all)
        return self.model

    # Runs

    def prepare_state(self, timestep: Any) -> None:
        """Tell callbacks that a step begins."""
        self._call(CallbacksMP.ON_PREPARE_STATE, self, timestep)

    def pre_run(self) -> None:
        """Put patched objects in place, inject, and tell callbacks that a run begins."""
        for name, value in self.object_patches.items():
            self.object_patches_backup.setdefault(name, _exchange(self.model, name, value))
        self.inject_model()
        self.model.__dict__["_patcher"] = self
        self._call(CallbacksMP.ON_PRE_RUN, self)

    def cleanup(self) -> None:
        """Undo what `pre_run` did."""
        self._call(CallbacksMP.ON_CLEANUP, self)
        self.eject_model()
        for name, value in self.object_patches_backup.items():
            _exchange(self.model, name, value)
        self.object_patches_backup.clear()

    def inject_model(self) -> None:
        """Run the injections."""
        if self.is_injected:
            return
        for some in self.injections.values():
            for injection in some:
                injection.inject(self)
                self.is_injected = True
        if self.is_injected:
            self._call(CallbacksMP.ON_INJECT_MODEL, self)

    def eject_model(self) -> None:
        """Undo the injections."""
        if not self.is_injected:
            return
        for some in self.injections.values():
            for injection in some:
                injection.eject(self)
        self.is_injected = False
        self._call(CallbacksMP.ON_EJECT_MODEL, self)

    def restore_hook_patches(self) -> None:
        """Nothing: hooks change weights as long as they count, and no longer."""

    def clean_hooks(self) -> None:
        """Nothing, see `restore_hook_patches`."""

    def _call(self, moment: str, *args: Any) -> None:
        if moment == CallbacksMP.ON_CLONE:
            args = (self, *args)
        for callback in self.get_all_callbacks(moment):
            callback(*args)


class EnginePatcher(ModelPatcher):
    """The patcher of networks of ours that are no diffusion model: text encoders, VAEs, vision encoders.

    They are placed by `place`, and given up by what keeps account of them.
    """

    def __init__(self, model: Any, networks: Iterable[nn.Module], place: Callable[[], None]) -> None:
        super().__init__(model, placing.residency().device, torch.device("cpu"))
        self.networks, self.place = list(networks), place

    def load(self, device_to: Any = None, **further: Any) -> None:
        """Place the networks."""
        self.place()

    def unpatch_model(self, device_to: Any = None, unpatch_weights: bool = True) -> None:
        """Take them away again."""
        for network in self.networks:
            placing.residency().unload(network)


def _exchange(model: Any, name: str, value: Any) -> Any:
    """Put an object into a model; returns the one that was there."""
    *path, last = name.split(".")
    owner = model
    for part in path:
        owner = getattr(owner, part)
    before = getattr(owner, last)
    if isinstance(owner, nn.Module) and last in owner.__dict__.get("_modules", {}):
        owner._modules[last] = value
    else:
        setattr(owner, last, value)
    return before


def _same_levels(one: NoiseLevels, other: NoiseLevels) -> bool:
    return type(one) is type(other) and torch.equal(one.sigmas, other.sigmas)
