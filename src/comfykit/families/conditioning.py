"""CONDITIONING as it travels along links, to and from what sampling works with.

On a link it is a list of `[embedding, options]`, because custom nodes take it apart. Options that are
read here: `area` (height, width, y, x in cells, or ("percentage", ...) in parts of the sides), `strength`,
`mask`, `mask_strength`, `set_area_to_bounds`, `start_percent`, `end_percent`, `controls`. A family reads
others (`pooled_output`, `width`, `concat_latent_image`, ...) in its `model_inputs`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from comfykit.families.components import DiffusionModel
from comfykit.families.family import Scene
from comfykit.sampling.conditioning import Area, Cond, RelativeArea
from comfykit.text.clip import EncodedPrompt


def to_link(prompt: EncodedPrompt) -> list[list[Any]]:
    """The conditioning of one encoded prompt."""
    return [[prompt.embedding, {"pooled_output": prompt.pooled}]]


def from_link(
    conditioning: Sequence[Sequence[Any]], model: DiffusionModel, side: int, scene: Scene
) -> list[Cond]:
    """What sampling works with; percents of the schedule become noise levels of the model."""
    return [_cond(embedding, options, model, side, scene) for embedding, options in conditioning]


def _cond(embedding: Any, options: Mapping[str, Any], model: DiffusionModel, side: int, scene: Scene) -> Cond:
    start, end = options.get("start_percent"), options.get("end_percent")
    return Cond(
        embedding=embedding,
        model_inputs=model.family.model_inputs(options, side, scene),
        area=_area(options.get("area")),
        strength=options.get("strength", 1.0),
        mask=options.get("mask"),
        mask_strength=options.get("mask_strength", 1.0),
        within_bounds=options.get("set_area_to_bounds", False),
        start_sigma=math.inf if start is None else model.levels.percent_to_sigma(start),
        end_sigma=0.0 if end is None else model.levels.percent_to_sigma(end),
        controls=tuple(options.get("controls", ())),
    )


def _area(value: Sequence[Any] | None) -> Area | RelativeArea | None:
    if value is None:
        return None
    if value[0] == "percentage":
        height, width, y, x = value[1:]
        return RelativeArea((height, width), (y, x))
    height, width, y, x = value
    return Area((height, width), (y, x))
