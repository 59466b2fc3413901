"""Hooks: LoRAs and models that count only where and when a conditioning does, and their keyframes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Annotated, TypeAlias

from comfykit.engine.define import boolean, combo, integer, node, number, socket
from comfykit.engine.schema import Input, Listing
from comfykit.families.hook_keyframes import (
    INTERPOLATIONS,
    NO_KEYFRAMES,
    Keyframe,
    Keyframes,
    evenly,
    spread,
)
from comfykit.families.hook_run import HookSource
from comfykit.families.hooks import NO_HOOKS, ClipHooks, Hook, Hooks, LoraSource, ModelSource
from comfykit.families.load import load_checkpoint
from comfykit.families.lora import load_lora
from comfykit.nodes.context import NodeContext
from comfykit.nodes.loras import LoraName
from comfykit.nodes.types import Clip, Context

CREATE = "advanced/hooks/create"
SCHEDULING = "advanced/hooks/scheduling"
COMBINE = "advanced/hooks/combine"

HooksInput: TypeAlias = Annotated[Hooks, socket("HOOKS")]
KeyframesInput: TypeAlias = Annotated[Keyframes, socket("HOOK_KEYFRAMES")]
HookStrength: TypeAlias = Annotated[float, number(1.0, -20.0, 20.0)]
Multiplier: TypeAlias = Annotated[float, number(1.0, 0.0, 10.0, 0.001)]
Start: TypeAlias = Annotated[float, number(0.0, 0.0, 1.0, 0.001)]
End: TypeAlias = Annotated[float, number(1.0, 0.0, 1.0, 0.001)]
CheckpointName: TypeAlias = Annotated[str, combo(Listing("models/checkpoints"))]
Floats: TypeAlias = Annotated[
    float | Iterable[float],
    Input("FLOATS", default=-1, minimum=-1, step=0.001, options={"forceInput": True}, socket_only=True),
]
Switch: TypeAlias = Annotated[bool, boolean(False)]


@node("CreateHookLora", title="Create Hook LoRA", category=CREATE)
def create_hook_lora(
    context: Context,
    lora_name: LoraName,
    strength_model: HookStrength,
    strength_clip: HookStrength,
    prev_hooks: HooksInput | None = None,
) -> HooksInput:
    """Make a hook of a LoRA: it counts for the conditionings and text encoders that it is attached to.

    Hooks in a row, through `prev_hooks`, count together.
    """
    before = prev_hooks or NO_HOOKS
    if strength_model == 0 and strength_clip == 0:
        return before
    lora = load_lora(context.settings.home.find("loras", lora_name))
    return _added(before, LoraSource(lora), strength_model, strength_clip)


@node("CreateHookLoraModelOnly", title="Create Hook LoRA (MO)", category=CREATE)
def create_hook_lora_model_only(
    context: Context,
    lora_name: LoraName,
    strength_model: HookStrength,
    prev_hooks: HooksInput | None = None,
) -> HooksInput:
    """Make a hook of a LoRA that leaves text encoders as they are."""
    return create_hook_lora(context, lora_name, strength_model, 0.0, prev_hooks)


@node("CreateHookModelAsLora", title="Create Hook Model as LoRA", category=CREATE)
def create_hook_model_as_lora(
    context: Context,
    ckpt_name: CheckpointName,
    strength_model: HookStrength,
    strength_clip: HookStrength,
    prev_hooks: HooksInput | None = None,
) -> HooksInput:
    """Make a hook of a checkpoint: at strength 1 it stands in for the model, at 0.5 they are mixed by halves.

    Weights become base * (1 - strength) + checkpoint * strength; LoRAs on the base stay.
    """
    before = prev_hooks or NO_HOOKS
    if strength_model == 0 and strength_clip == 0:
        return before
    checkpoint = load_checkpoint(context.settings.home.find("checkpoints", ckpt_name))
    return _added(before, ModelSource(checkpoint), strength_model, strength_clip)


@node("CreateHookModelAsLoraModelOnly", title="Create Hook Model as LoRA (MO)", category=CREATE)
def create_hook_model_as_lora_model_only(
    context: Context,
    ckpt_name: CheckpointName,
    strength_model: HookStrength,
    prev_hooks: HooksInput | None = None,
) -> HooksInput:
    """Make a hook of a checkpoint that leaves text encoders as they are."""
    return create_hook_model_as_lora(context, ckpt_name, strength_model, 0.0, prev_hooks)


def _added(before: Hooks, source: HookSource, strength_model: float, strength_clip: float) -> Hooks:
    return before.with_more(Hooks((Hook(source, strength_model, strength_clip),)))


@node("SetHookKeyframes", title="Set Hook Keyframes", category=SCHEDULING)
def set_hook_keyframes(hooks: HooksInput, hook_kf: KeyframesInput | None = None) -> HooksInput:
    """Let the strength of hooks change on the way from noise to picture.

    The keyframes take the place of those that the hooks had.
    """
    return hooks if hook_kf is None else hooks.with_keyframes(hook_kf)


@node("CreateHookKeyframe", title="Create Hook Keyframe", category=SCHEDULING, output_names=("HOOK_KF",))
def create_hook_keyframe(
    strength_mult: HookStrength, start_percent: Start, prev_hook_kf: KeyframesInput | None = None
) -> KeyframesInput:
    """Multiply the strength of hooks from a part of the schedule on (0 is noise, 1 the picture).

    It counts until the next one starts, for one step at least; the first one counts before its start, too.
    """
    return (prev_hook_kf or NO_KEYFRAMES).with_more([Keyframe(start_percent, strength_mult)])


@node(
    "CreateHookKeyframesInterpolated",
    title="Create Hook Keyframes Interp.",
    category=SCHEDULING,
    output_names=("HOOK_KF",),
)
def create_hook_keyframes_interpolated(
    context: Context,
    strength_start: Multiplier,
    strength_end: Multiplier,
    interpolation: Annotated[str, combo(tuple(INTERPOLATIONS))],
    start_percent: Start,
    end_percent: End,
    keyframes_count: Annotated[int, integer(5, 2, 100)],
    print_keyframes: Switch,
    prev_hook_kf: KeyframesInput | None = None,
) -> KeyframesInput:
    """Make keyframes at even distances whose strengths go from one number to another.

    "ease_in" begins slowly, "ease_out" ends slowly, "ease_in_out" does both.
    """
    ease = INTERPOLATIONS[interpolation]
    strengths = [
        strength_start + (strength_end - strength_start) * ease(part)
        for part in evenly(0.0, 1.0, keyframes_count)
    ]
    made = spread(strengths, start_percent, end_percent)
    return _with_keyframes(context, prev_hook_kf, made, told=print_keyframes)


@node(
    "CreateHookKeyframesFromFloats",
    title="Create Hook Keyframes From Floats",
    category=SCHEDULING,
    output_names=("HOOK_KF",),
)
def create_hook_keyframes_from_floats(
    context: Context,
    floats_strength: Floats,
    start_percent: Start,
    end_percent: End,
    print_keyframes: Switch,
    prev_hook_kf: KeyframesInput | None = None,
) -> KeyframesInput:
    """Make keyframes at even distances, one for each number of a list: its strength."""
    listed = [*floats_strength] if isinstance(floats_strength, Iterable) else [floats_strength]
    made = spread([float(strength) for strength in listed], start_percent, end_percent)
    return _with_keyframes(context, prev_hook_kf, made, told=print_keyframes)


def _with_keyframes(
    context: NodeContext, before: Keyframes | None, made: list[Keyframe], *, told: bool
) -> Keyframes:
    if told:
        listed = ", ".join(f"{one.start_percent:.3f}: {one.strength:.3f}" for one in made)
        context.warn(f"keyframes, start and strength: {listed}")
    return (before or NO_KEYFRAMES).with_more(made)


@node("CombineHooks2", title="Combine Hooks [2]", category=COMBINE)
def combine_hooks_2(hooks_A: HooksInput | None = None, hooks_B: HooksInput | None = None) -> HooksInput:
    """Let hooks count together; one that is among both counts once."""
    return combined(hooks_A, hooks_B)


@node("CombineHooks4", title="Combine Hooks [4]", category=COMBINE)
def combine_hooks_4(
    hooks_A: HooksInput | None = None,
    hooks_B: HooksInput | None = None,
    hooks_C: HooksInput | None = None,
    hooks_D: HooksInput | None = None,
) -> HooksInput:
    """Let hooks count together; one that is there twice counts once."""
    return combined(hooks_A, hooks_B, hooks_C, hooks_D)


@node("CombineHooks8", title="Combine Hooks [8]", category=COMBINE)
def combine_hooks_8(
    hooks_A: HooksInput | None = None,
    hooks_B: HooksInput | None = None,
    hooks_C: HooksInput | None = None,
    hooks_D: HooksInput | None = None,
    hooks_E: HooksInput | None = None,
    hooks_F: HooksInput | None = None,
    hooks_G: HooksInput | None = None,
    hooks_H: HooksInput | None = None,
) -> HooksInput:
    """Let hooks count together; one that is there twice counts once."""
    return combined(hooks_A, hooks_B, hooks_C, hooks_D, hooks_E, hooks_F, hooks_G, hooks_H)


def combined(*groups: Hooks | None) -> Hooks:
    """All hooks of the groups that are there."""
    found = NO_HOOKS
    for group in groups:
        found = found if group is None else found.with_more(group)
    return found


@node("SetClipHooks", title="Set CLIP Hooks", category="advanced/hooks/clip")
def set_clip_hooks(
    clip: Clip,
    apply_to_conds: Annotated[bool, boolean(True)],
    schedule_clip: Switch,
    hooks: HooksInput | None = None,
) -> Clip:
    """Encode prompts with the text encoder's part of hooks.

    With `apply_to_conds` its conditionings carry the hooks on to the model. Keyframes count for the
    text encoder with `schedule_clip` only: then a prompt is encoded once for each of their strengths.
    """
    return clip if hooks is None else replace(clip, hooks=ClipHooks(hooks, apply_to_conds, schedule_clip))
