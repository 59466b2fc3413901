"""`comfy.sampler_helpers`: what stands around a run."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from torch import Tensor

from comfykit.compat import placing
from comfykit.compat.host.comfy import patcher_extension
from comfykit.families.control import lend_controls
from comfykit.sampling.conditioning import fit_mask

Conds = list[dict[str, Any]]


def prepare_mask(noise_mask: Tensor, shape: Sequence[int], device: Any) -> Tensor:
    """A mask in the size and the batch of a latent of a shape."""
    like = noise_mask.new_empty(tuple(shape), device=device)
    return fit_mask(noise_mask.to(device), like).expand(shape[0], shape[1], *shape[2:])


def convert_cond(cond: Any) -> Conds:
    """Conditionings of a link, `[[embedding, options], ...]`, as a run has them: a dict for each."""
    from comfykit.compat.border import conditioning_to_pack

    if cond is None:
        return []
    found = []
    for embedding, options in conditioning_to_pack(cond):
        made = {**options, "model_conds": dict(options.get("model_conds", {})), "uuid": uuid.uuid4()}
        if embedding is not None:
            made["cross_attn"] = embedding
        found.append(made)
    return found


def lent_controls(positive: Conds, negative: Conds) -> Conds:
    """The other side, with the ControlNets that are meant for both (`families.control.lend_controls`)."""

    def paired(side: Conds) -> list[list[Any]]:
        return [
            [one, {**one, "controls": (one["control"],) if one.get("control") is not None else ()}]
            for one in side
        ]

    found: Conds = []
    for one, options in lend_controls(paired(positive), paired(negative)):
        lent = options["controls"]
        if lent and one.get("control") is None:
            found.append({**one, "control": lent[0]})
        else:
            found.append(one)
    return found


def get_models_from_cond(cond: Conds, model_type: str) -> list[Any]:
    """What conditionings carry under a name."""
    return [one[model_type] for one in cond if one.get(model_type) is not None]


def get_additional_models(conds: dict[str, Conds], dtype: Any) -> tuple[list[Any], float]:
    """Models beside the network in a run, and the bytes that they compute in: they place themselves."""
    controls = {id(one): one for side in conds.values() for one in get_models_from_cond(side, "control")}
    models = [model for one in controls.values() for model in one.get_models()]
    return models, float(sum(one.inference_memory_requirements(dtype) for one in controls.values()))


def cleanup_additional_models(models: Sequence[Any]) -> None:
    """Tell models that a run is over."""
    for model in models:
        if hasattr(model, "cleanup"):
            model.cleanup()


def prepare_sampling(
    model: Any, noise_shape: Any, conds: Any, model_options: dict[str, Any] | None = None
) -> tuple[Any, Any, list[Any]]:
    """Place a model and what conditionings bring with them."""
    executor = patcher_extension.WrapperExecutor.new_executor(
        _prepare_sampling,
        patcher_extension.get_all_wrappers(
            patcher_extension.WrappersMP.PREPARE_SAMPLING, model_options or {}, is_model_options=True
        ),
    )
    found: tuple[Any, Any, list[Any]] = executor.execute(
        model, noise_shape, conds, model_options=model_options
    )
    return found


def _prepare_sampling(
    model: Any, noise_shape: Any, conds: Any, model_options: dict[str, Any] | None = None
) -> tuple[Any, Any, list[Any]]:
    further = model.get_nested_additional_models()
    models, _ = get_additional_models(conds, model.model_dtype())
    for one in (*further, *models):
        one.load(placing.residency().device)
    return model.model, conds, [*further, *models]


def cleanup_models(conds: dict[str, Conds], models: Sequence[Any]) -> None:
    """Tell models and ControlNets that a run is over."""
    cleanup_additional_models([one for one in models if not hasattr(one, "pre_run")])
    controls = {id(one): one for side in conds.values() for one in get_models_from_cond(side, "control")}
    cleanup_additional_models(list(controls.values()))


def with_wrappers_of(model: Any, model_options: dict[str, Any]) -> dict[str, Any]:
    """Options with the wrappers and callbacks of a patcher, where a run looks for them."""
    told = dict(model_options.get("transformer_options", {}))
    for name in ("wrappers", "callbacks"):
        own = getattr(model, name, None)
        if own:
            told[name] = patcher_extension.merge_nested_dicts(told.get(name, {}), own)
    return {**model_options, "transformer_options": told}
