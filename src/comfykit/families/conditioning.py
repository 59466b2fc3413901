"""CONDITIONING as it travels along links, to and from what sampling works with.

On a link it is a list of `[embedding, options]`, because custom nodes take it apart. Options that are
read here: `area` (height, width, y, x in cells, or ("percentage", ...) in parts of the sides; a time axis
comes first in both halves), `strength`,
`mask`, `mask_strength`, `set_area_to_bounds`, `start_percent`, `end_percent`, `clip_start_percent`,
`clip_end_percent`, `controls`, `hooks`, `gligen`, `default`. A family reads
others (`pooled_output`, `width`, `concat_latent_image`, ...) in its `model_inputs`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from comfykit.errors import UsageError
from comfykit.families.components import DiffusionModel
from comfykit.families.control import check_controls
from comfykit.families.family import Scene
from comfykit.families.gligen import grounding_of
from comfykit.sampling.conditioning import Area, Cond, RelativeArea
from comfykit.text.clip import EncodedPrompt


def to_link(prompt: EncodedPrompt) -> list[list[Any]]:
    """The conditioning of one encoded prompt."""
    return [[prompt.embedding, {"pooled_output": prompt.pooled}]]


def from_link(
    conditioning: Sequence[Sequence[Any]], model: DiffusionModel, side: int, scene: Scene
) -> list[Cond]:
    """What sampling works with; percents of the schedule become noise levels of the model.

    Raises `UsageError` for a prompt of another kind of model's text encoder or an area of another kind of
    latent, `ModelFileError` or `UsageError` for a ControlNet that cannot work with the model.
    """
    return [_cond(embedding, options, model, side, scene) for embedding, options in conditioning]


def _cond(embedding: Any, options: Mapping[str, Any], model: DiffusionModel, side: int, scene: Scene) -> Cond:
    start, end = options.get("start_percent"), options.get("end_percent")
    _check_width(embedding, model)
    return Cond(
        embedding=embedding,
        model_inputs=model.family.model_inputs(options, side, scene),
        area=_area(options.get("area"), scene.latent.ndim - 2),
        strength=options.get("strength", 1.0),
        mask=options.get("mask"),
        mask_strength=options.get("mask_strength", 1.0),
        within_bounds=options.get("set_area_to_bounds", False),
        start_sigma=math.inf if start is None else model.levels.percent_to_sigma(start),
        end_sigma=0.0 if end is None else model.levels.percent_to_sigma(end),
        text_sigmas=_text_sigmas(options, model),
        controls=check_controls(
            options.get("controls", ()), model.network, model.family.latent_format.channels
        ),
        weight_hooks=hooks.for_model() if (hooks := options.get("hooks")) is not None else (),
        grounding=grounding_of(options, model.network),
        default=options.get("default", False),
    )


def _text_sigmas(options: Mapping[str, Any], model: DiffusionModel) -> tuple[float, float]:
    """Noise levels between which a prompt is encoded as it is, the second one left out."""
    start, end = options.get("clip_start_percent", 0.0), options.get("clip_end_percent", 1.0)
    first = math.inf if start <= 0.0 else model.levels.percent_to_sigma(start)
    return first, -math.inf if end >= 1.0 else model.levels.percent_to_sigma(end)


def _area(value: Sequence[Any] | None, axes: int) -> Area | RelativeArea | None:
    """An area of a latent with that many axes of space and time: sizes, then places, one for each axis."""
    if value is None:
        return None
    relative = value[0] == "percentage"
    numbers = tuple(value[1:] if relative else value)
    if len(numbers) != 2 * axes:
        raise UsageError(
            f"the conditioning's area has {len(numbers) // 2} axes, and the latent has {axes}",
            hint="areas with a time axis are for video models",
        )
    made = RelativeArea if relative else Area
    return made(numbers[:axes], numbers[axes:])


def _check_width(embedding: Any, model: DiffusionModel) -> None:
    found, wanted = embedding.shape[-1], model.network.config.context_dim
    if found != wanted:
        raise UsageError(
            f"the prompt is encoded in vectors of {found} numbers, and the model takes {wanted}",
            hint="encode prompts with the text encoder of the model's own checkpoint",
        )
