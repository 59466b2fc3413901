"""Mask, strength, range and hooks of conditionings in one node, alone or in pairs of both sides."""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

from comfykit.engine.define import combo, node, socket
from comfykit.families.hooks import NO_HOOKS, Hooks
from comfykit.nodes.conditioning import Strength, conditioning_set_mask, with_options
from comfykit.nodes.hooks import End, HooksInput, Start
from comfykit.nodes.types import Conditioning, Mask

SINGLE = "advanced/hooks/cond single"
PAIR = "advanced/hooks/cond pair"
SIDES = ("positive", "negative")

TimestepsRange: TypeAlias = Annotated[tuple[float, float], socket("TIMESTEPS_RANGE")]
CondArea: TypeAlias = Annotated[str, combo(("default", "mask bounds"))]


@node(
    "ConditioningTimestepsRange",
    title="Timesteps Range",
    category="advanced/hooks",
    output_names=("TIMESTEPS_RANGE", "BEFORE_RANGE", "AFTER_RANGE"),
)
def conditioning_timesteps_range(
    start_percent: Start, end_percent: End
) -> tuple[TimestepsRange, TimestepsRange, TimestepsRange]:
    """A part of the way from noise (0) to picture (1), what comes before it, and what comes after it."""
    return (start_percent, end_percent), (0.0, start_percent), (end_percent, 1.0)


@node("ConditioningSetProperties", title="Cond Set Props", category=SINGLE)
def conditioning_set_properties(
    cond_NEW: Conditioning,
    strength: Strength,
    set_cond_area: CondArea,
    mask: Mask | None = None,
    hooks: HooksInput | None = None,
    timesteps: TimestepsRange | None = None,
) -> Conditioning:
    """Say where a prompt counts, when, and with which hooks.

    `strength` weighs the mask, and means nothing without one. With "mask bounds" the model is shown the box
    around the white only. Hooks are added to those that the conditioning has.
    """
    found = with_hooks(cond_NEW, hooks)
    if mask is not None:
        found = conditioning_set_mask(found, mask, strength, set_cond_area)
    if timesteps is not None:
        found = with_options(found, start_percent=timesteps[0], end_percent=timesteps[1])
    return found


def with_hooks(conditioning: Conditioning, hooks: Hooks | None) -> Conditioning:
    """The conditionings with these hooks after those that each has."""
    if hooks is None:
        return conditioning
    return [
        [embedding, {**options, "hooks": options.get("hooks", NO_HOOKS).with_more(hooks)}]
        for embedding, options in conditioning
    ]


@node("ConditioningSetPropertiesAndCombine", title="Cond Set Props Combine", category=SINGLE)
def conditioning_set_properties_and_combine(
    cond: Conditioning,
    cond_NEW: Conditioning,
    strength: Strength,
    set_cond_area: CondArea,
    mask: Mask | None = None,
    hooks: HooksInput | None = None,
    timesteps: TimestepsRange | None = None,
) -> Conditioning:
    """Say where, when and with which hooks a prompt counts, and put it beside another."""
    changed = conditioning_set_properties(cond_NEW, strength, set_cond_area, mask, hooks, timesteps)
    return [*cond, *changed]


@node("ConditioningSetDefaultCombine", title="Cond Set Default Combine", category=SINGLE)
def conditioning_set_default_combine(
    cond: Conditioning, cond_DEFAULT: Conditioning, hooks: HooksInput | None = None
) -> Conditioning:
    """Put a prompt beside others for the places that none of them covers.

    Where their masks and areas cover everything, it is not evaluated and costs nothing.
    """
    return [*cond, *with_options(with_hooks(cond_DEFAULT, hooks), default=True)]


@node("PairConditioningSetProperties", title="Cond Pair Set Props", category=PAIR, output_names=SIDES)
def pair_conditioning_set_properties(
    positive_NEW: Conditioning,
    negative_NEW: Conditioning,
    strength: Strength,
    set_cond_area: CondArea,
    mask: Mask | None = None,
    hooks: HooksInput | None = None,
    timesteps: TimestepsRange | None = None,
) -> tuple[Conditioning, Conditioning]:
    """Say where, when and with which hooks a positive and a negative prompt count."""
    same: dict[str, Any] = {"mask": mask, "hooks": hooks, "timesteps": timesteps}
    return (
        conditioning_set_properties(positive_NEW, strength, set_cond_area, **same),
        conditioning_set_properties(negative_NEW, strength, set_cond_area, **same),
    )


@node(
    "PairConditioningSetPropertiesAndCombine",
    title="Cond Pair Set Props Combine",
    category=PAIR,
    output_names=SIDES,
)
def pair_conditioning_set_properties_and_combine(
    positive: Conditioning,
    negative: Conditioning,
    positive_NEW: Conditioning,
    negative_NEW: Conditioning,
    strength: Strength,
    set_cond_area: CondArea,
    mask: Mask | None = None,
    hooks: HooksInput | None = None,
    timesteps: TimestepsRange | None = None,
) -> tuple[Conditioning, Conditioning]:
    """Say where, when and with which hooks a pair of prompts counts, and put it beside another pair."""
    changed = pair_conditioning_set_properties(
        positive_NEW, negative_NEW, strength, set_cond_area, mask, hooks, timesteps
    )
    return [*positive, *changed[0]], [*negative, *changed[1]]


@node("PairConditioningCombine", title="Cond Pair Combine", category=PAIR, output_names=SIDES)
def pair_conditioning_combine(
    positive_A: Conditioning,
    negative_A: Conditioning,
    positive_B: Conditioning,
    negative_B: Conditioning,
) -> tuple[Conditioning, Conditioning]:
    """Follow both pairs of prompts: on each side, predictions are averaged by their weights."""
    return [*positive_A, *positive_B], [*negative_A, *negative_B]


@node(
    "PairConditioningSetDefaultCombine",
    title="Cond Pair Set Default Combine",
    category=PAIR,
    output_names=SIDES,
)
def pair_conditioning_set_default_combine(
    positive: Conditioning,
    negative: Conditioning,
    positive_DEFAULT: Conditioning,
    negative_DEFAULT: Conditioning,
    hooks: HooksInput | None = None,
) -> tuple[Conditioning, Conditioning]:
    """Put a pair of prompts beside others for the places that none of them covers."""
    return (
        conditioning_set_default_combine(positive, positive_DEFAULT, hooks),
        conditioning_set_default_combine(negative, negative_DEFAULT, hooks),
    )
