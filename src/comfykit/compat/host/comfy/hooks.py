"""`comfy.hooks`: HOOKS by the names that packs use; what they hold is `families.hooks`."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Any

from comfykit.compat.absent import classes
from comfykit.families.hook_keyframes import Keyframe, Keyframes
from comfykit.families.hooks import Hook, Hooks, LoraSource
from comfykit.weights.lora import parse_lora


class EnumHookMode(enum.Enum):
    """What a hook aims at."""

    MinVram = "minvram"
    MaxSpeed = "maxspeed"


class EnumHookType(enum.Enum):
    """Kinds of hooks."""

    Weight = "weight"
    ObjectPatch = "object_patch"
    AdditionalModels = "add_models"
    TransformerOptions = "transformer_options"
    Injections = "add_injections"


class EnumHookScope(enum.Enum):
    """Where a hook counts."""

    AllConditioning = "all_conditioning"
    HookedOnly = "hooked_only"


class HookGroup:
    """Several hooks; on a link it is our `Hooks`."""

    def __init__(self) -> None:
        self.hooks: list[Any] = []

    @staticmethod
    def combine_all_hooks(hooks_list: Sequence[Any], require_count: int = 0) -> Any:
        """All of them as one; None where there are none."""
        given = [one for one in hooks_list if one is not None]
        if not given:
            return None
        found = given[0]
        for one in given[1:]:
            found = found.with_more(one)
        return found


HookKeyframe, HookKeyframeGroup = Keyframe, Keyframes
globals().update(classes(__name__, "Hook WeightHook ObjectPatchHook AdditionalModelsHook InjectionsHook"))
globals().update(classes(__name__, "TransformerOptionsHook WrapperHook"))


def set_hooks_for_conditioning(
    cond: Sequence[Sequence[Any]], hooks: Any, append_hooks: bool = True, cache: Any = None
) -> Any:
    """Conditionings with hooks, beside those that they have."""
    if hooks is None:
        return cond
    found = []
    for embedding, options in cond:
        before = options.get("hooks") if append_hooks else None
        found.append([embedding, {**options, "hooks": HookGroup.combine_all_hooks([before, hooks])}])
    return found


def create_hook_lora(lora: Any, strength_model: float, strength_clip: float) -> Any:
    """A hook of a LoRA's tensors."""
    return Hooks((Hook(LoraSource(parse_lora(dict(lora))), strength_model, strength_clip),))
