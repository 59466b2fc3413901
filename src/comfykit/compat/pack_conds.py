"""Conditionings in a run as packs work on them: dicts with `cross_attn`, `model_conds`, an area, levels."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor


def calculate_start_end_timesteps(model: Any, conds: list[dict[str, Any]]) -> None:
    """Parts of the way become levels."""
    levels = model.model_sampling
    for one in conds:
        if one.get("start_percent") is not None:
            one["timestep_start"] = levels.percent_to_sigma(one["start_percent"])
        if one.get("end_percent") is not None:
            one["timestep_end"] = levels.percent_to_sigma(one["end_percent"])


def resolve_areas_and_cond_masks_multidim(
    conditions: list[dict[str, Any]], dims: Sequence[int], device: Any
) -> None:
    """Areas in parts of the sides become areas in cells."""
    for one in conditions:
        area = one.get("area")
        if area is not None and area[0] == "percentage":
            axes = len(dims)
            numbers = area[1:]
            size = [max(1, round(part * side)) for part, side in zip(numbers[:axes], dims, strict=True)]
            start = [round(part * side) for part, side in zip(numbers[axes:], dims, strict=True)]
            one["area"] = (*size, *start)


def resolve_areas_and_cond_masks(conditions: list[dict[str, Any]], h: int, w: int, device: Any) -> None:
    """The same for a height and a width."""
    resolve_areas_and_cond_masks_multidim(conditions, [h, w], device)


def encode_model_conds(
    model_function: Callable[..., Any],
    conds: list[dict[str, Any]],
    noise: Tensor,
    device: Any,
    prompt_type: str,
    **kwargs: Any,
) -> list[dict[str, Any]]:
    """The network's inputs for conditionings, by a function such as `extra_conds`."""
    for one in conds:
        found = model_function(
            **{**one, "device": device, "noise": noise, "prompt_type": prompt_type, **kwargs}
        )
        one["model_conds"] = {**one.get("model_conds", {}), **found}
    return conds


def create_cond_with_same_area_if_none(conds: list[dict[str, Any]], c: dict[str, Any]) -> None:
    """Nothing: areas get their counterparts when they are placed (`sampling.conditioning`)."""


def apply_empty_x_to_equal_area(
    conds: list[dict[str, Any]], uncond: list[dict[str, Any]], name: str, uncond_fill_func: Callable[..., Any]
) -> None:
    """Give the other side what conditionings with a value under a name have, where it has none."""
    given = [one[name] for one in conds if one.get(name) is not None and "area" not in one]
    takers = [one for one in uncond if one.get(name) is None and "area" not in one]
    for number, one in enumerate(takers[: len(given)]):
        one[name] = uncond_fill_func(given, number)


class _Placed(NamedTuple):
    input_x: Tensor
    mult: Tensor
    conditioning: dict[str, Any]
    area: Any
    control: Any
    patches: Any
    uuid: Any
    hooks: Any


def get_area_and_mult(conds: dict[str, Any], x_in: Tensor, timestep_in: Tensor) -> _Placed | None:
    """The part of x that a conditioning is for, and its weight there; None where it does not count now."""
    level = float(timestep_in[0])
    if level > float(conds.get("timestep_start", math.inf)) or level < float(conds.get("timestep_end", 0.0)):
        return None
    area, part = conds.get("area"), x_in
    if area is not None:
        axes = len(area) // 2
        for axis in range(axes):
            part = part.narrow(
                axis + 2, area[axes + axis], min(area[axis], x_in.shape[axis + 2] - area[axes + axis])
            )
    weight = torch.ones_like(part) * conds.get("strength", 1.0)
    inputs = {
        name: one.process_cond(batch_size=x_in.shape[0], device=x_in.device, area=area)
        for name, one in (conds.get("model_conds") or {}).items()
    }
    found = (conds.get("control"), None, conds.get("uuid"), conds.get("hooks"))
    return _Placed(part, weight, inputs, area, *found)


def can_concat_cond(c1: Any, c2: Any) -> bool:
    """Whether two placed conditionings can share a call."""
    one, other = c1.conditioning, c2.conditioning
    same = c1.input_x.shape == c2.input_x.shape and c1.control is c2.control and one.keys() == other.keys()
    return same and all(one[name].can_concat(other[name]) for name in one)


def cond_cat(c_list: list[dict[str, Any]]) -> dict[str, Any]:
    """Inputs of several conditionings as those of one call."""
    return {name: one.concat([other[name] for other in c_list[1:]]) for name, one in c_list[0].items()}
