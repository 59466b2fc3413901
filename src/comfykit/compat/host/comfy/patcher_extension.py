"""`comfy.patcher_extension`: functions that packs put around parts of a run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class CallbacksMP:
    """Moments at which a model tells what was put there."""

    ON_CLONE = "on_clone"
    ON_LOAD = "on_load_after"
    ON_DETACH = "on_detach_after"
    ON_CLEANUP = "on_cleanup"
    ON_PRE_RUN = "on_pre_run"
    ON_PREPARE_STATE = "on_prepare_state"
    ON_APPLY_HOOKS = "on_apply_hooks"
    ON_REGISTER_ALL_HOOK_PATCHES = "on_register_all_hook_patches"
    ON_INJECT_MODEL = "on_inject_model"
    ON_EJECT_MODEL = "on_eject_model"

    @classmethod
    def init_callbacks(cls) -> dict[str, dict[Any, list[Callable[..., Any]]]]:
        """No callbacks."""
        return {}


class WrappersMP:
    """Parts of a run that functions can stand around."""

    OUTER_SAMPLE = "outer_sample"
    PREPARE_SAMPLING = "prepare_sampling"
    SAMPLER_SAMPLE = "sampler_sample"
    PREDICT_NOISE = "predict_noise"
    CALC_COND_BATCH = "calc_cond_batch"
    APPLY_MODEL = "apply_model"
    DIFFUSION_MODEL = "diffusion_model"

    @classmethod
    def init_wrappers(cls) -> dict[str, dict[Any, list[Callable[..., Any]]]]:
        """No wrappers."""
        return {}


class PatcherInjection:
    """A pair of functions that change a model before a run and change it back after."""

    def __init__(self, inject: Callable[..., Any], eject: Callable[..., Any]) -> None:
        self.inject, self.eject = inject, eject


class WrapperExecutor:
    """A function inside of wrappers: each is called with what is inside it, and the inputs."""

    def __init__(
        self, original: Callable[..., Any], class_obj: Any, wrappers: list[Callable[..., Any]], idx: int = 0
    ) -> None:
        self.original, self.class_obj = original, class_obj
        self.wrappers = list(wrappers)
        self.idx = idx
        self.is_last = idx == len(self.wrappers)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """What is inside, as a wrapper calls it."""
        inside = WrapperExecutor(self.original, self.class_obj, self.wrappers, self.idx + 1)
        return inside.execute(*args, **kwargs)

    def execute(self, *args: Any, **kwargs: Any) -> Any:
        """From this wrapper on."""
        if self.is_last:
            return self.original(*args, **kwargs)
        return self.wrappers[self.idx](self, *args, **kwargs)

    @classmethod
    def new_executor(
        cls, original: Callable[..., Any], wrappers: list[Callable[..., Any]], idx: int = 0
    ) -> WrapperExecutor:
        """For a function."""
        return cls(original, None, wrappers, idx)

    @classmethod
    def new_class_executor(
        cls, original: Callable[..., Any], class_obj: Any, wrappers: list[Callable[..., Any]], idx: int = 0
    ) -> WrapperExecutor:
        """For a method; wrappers find the object as `executor.class_obj`."""
        return cls(original, class_obj, wrappers, idx)


def _add(what: str, kind: str, key: Any, function: Any, options: dict[str, Any], is_model: bool) -> None:
    if is_model:
        options = options.setdefault("transformer_options", {})
    options.setdefault(what, {}).setdefault(kind, {}).setdefault(key, []).append(function)


def add_callback(
    call_type: str,
    callback: Callable[..., Any],
    transformer_options: dict[str, Any],
    is_model_options: bool = False,
) -> None:
    """Put a callback into options."""
    add_callback_with_key(call_type, None, callback, transformer_options, is_model_options)


def add_callback_with_key(
    call_type: str,
    key: Any,
    callback: Callable[..., Any],
    transformer_options: dict[str, Any],
    is_model_options: bool = False,
) -> None:
    """Put a callback into options, under a key."""
    _add("callbacks", call_type, key, callback, transformer_options, is_model_options)


def add_wrapper(
    wrapper_type: str,
    wrapper: Callable[..., Any],
    transformer_options: dict[str, Any],
    is_model_options: bool = False,
) -> None:
    """Put a wrapper into options."""
    add_wrapper_with_key(wrapper_type, None, wrapper, transformer_options, is_model_options)


def add_wrapper_with_key(
    wrapper_type: str,
    key: Any,
    wrapper: Callable[..., Any],
    transformer_options: dict[str, Any],
    is_model_options: bool = False,
) -> None:
    """Put a wrapper into options, under a key."""
    _add("wrappers", wrapper_type, key, wrapper, transformer_options, is_model_options)


def _get(what: str, kind: str, options: dict[str, Any], is_model: bool) -> dict[Any, list[Any]]:
    if is_model:
        options = options.get("transformer_options", {})
    found: dict[Any, list[Any]] = options.get(what, {}).get(kind, {})
    return found


def get_callbacks_with_key(
    call_type: str, key: Any, transformer_options: dict[str, Any], is_model_options: bool = False
) -> list[Any]:
    """The callbacks under a key."""
    return list(_get("callbacks", call_type, transformer_options, is_model_options).get(key, []))


def get_all_callbacks(
    call_type: str, transformer_options: dict[str, Any], is_model_options: bool = False
) -> list[Any]:
    """All callbacks of a moment."""
    found = _get("callbacks", call_type, transformer_options, is_model_options)
    return [one for some in found.values() for one in some]


def get_wrappers_with_key(
    wrapper_type: str, key: Any, transformer_options: dict[str, Any], is_model_options: bool = False
) -> list[Any]:
    """The wrappers under a key."""
    return list(_get("wrappers", wrapper_type, transformer_options, is_model_options).get(key, []))


def get_all_wrappers(
    wrapper_type: str, transformer_options: dict[str, Any], is_model_options: bool = False
) -> list[Any]:
    """All wrappers of a part."""
    found = _get("wrappers", wrapper_type, transformer_options, is_model_options)
    return [one for some in found.values() for one in some]


def copy_nested_dicts(given: dict[Any, Any]) -> dict[Any, Any]:
    """The dicts and lists anew, what is in them as it is."""

    def copied(value: Any) -> Any:
        if isinstance(value, dict):
            return copy_nested_dicts(value)
        return list(value) if isinstance(value, list) else value

    return {key: copied(value) for key, value in given.items()}


def merge_nested_dicts(one: dict[Any, Any], other: dict[Any, Any], copy_dict1: bool = True) -> dict[Any, Any]:
    """Both: dicts are merged, lists joined, else the other's counts."""
    merged = copy_nested_dicts(one) if copy_dict1 else one
    for key, value in other.items():
        mine = merged.get(key)
        if isinstance(value, dict):
            merged[key] = merge_nested_dicts(mine if isinstance(mine, dict) else {}, value)
        elif isinstance(value, list):
            merged[key] = [*(mine if isinstance(mine, list) else []), *value]
        else:
            merged[key] = value
    return merged
