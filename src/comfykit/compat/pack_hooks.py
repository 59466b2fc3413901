"""What packs put into `transformer_options`, as hooks of our U-Net.

Read are `patches` (`attn1_patch`, `attn1_output_patch`, the same of attn2, `middle_patch`,
`input_block_patch`, `input_block_patch_after_skip`, `output_block_patch`), `patches_replace` (`attn1` and
`attn2`, by block), wrappers around the network, and the residuals of a ControlNet that is a pack's own. Other
kinds of patches are counted as missing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, cast

from torch import Tensor

from comfykit.compat.host.comfy.patcher_extension import WrapperExecutor, WrappersMP, get_all_wrappers
from comfykit.compat.modules import lacking
from comfykit.models.control import ControlResiduals
from comfykit.models.hooks import (
    Attention,
    AttentionHooks,
    AttentionInfo,
    BlockInfo,
    CallInfo,
    Place,
    UNetHooks,
)
from comfykit.models.unet import UNet

Options = dict[str, Any]
Residuals = Mapping[str, Sequence[Tensor | None]]

_KNOWN = {
    "attn1_patch",
    "attn2_patch",
    "attn1_output_patch",
    "attn2_output_patch",
    "middle_patch",
    "input_block_patch",
    "input_block_patch_after_skip",
    "output_block_patch",
}


def hooked(hooks: UNetHooks, options: Options, network: UNet, control: Residuals | None = None) -> UNetHooks:
    """The hooks with those that the options ask for; the same where they ask for none."""
    wrappers = get_all_wrappers(WrappersMP.DIFFUSION_MODEL, options)
    if wrappers:
        around = partial(_around, hooks, options, network, control, wrappers)
        return UNetHooks().with_around(around)
    return _with_control(_with_replaced(_with_patches(hooks, options), options), control)


def _around(
    hooks: UNetHooks,
    options: Options,
    network: UNet,
    residuals: Residuals | None,
    wrappers: list[Callable[..., Any]],
    run: Callable[..., Tensor],
    call: CallInfo,
    x: Tensor,
    timesteps: Tensor,
    context: Tensor,
    y: Tensor | None,
    control: Any,
) -> Tensor:
    """The network inside of wrappers, with the options that the innermost one was given."""
    without = {**options, "wrappers": {}}

    def inner(
        x: Tensor,
        timesteps: Tensor,
        context: Tensor,
        y: Tensor | None = None,
        control: Any = None,
        transformer_options: Options | None = None,
        **further: Any,
    ) -> Tensor:
        given = without if transformer_options is None else {**transformer_options, "wrappers": {}}
        found = hooked(hooks, given, network, residuals)
        ours = control if isinstance(control, ControlResiduals) else None
        told = replace(call, sigma=_rows(call.sigma, x), latent_size=(x.shape[-2], x.shape[-1]))
        output: Tensor = network(x, timesteps, context, y, ours, hooks=found, call=told)
        return output

    executor = WrapperExecutor.new_class_executor(inner, network, wrappers)
    return cast(Tensor, executor.execute(x, timesteps, context, y, control, options))


def _rows(sigma: Tensor, x: Tensor) -> Tensor:
    """Levels for as many rows as x has, which a wrapper may have cut or repeated."""
    return sigma if len(sigma) == len(x) else sigma[:1].expand(len(x))


def _with_patches(hooks: UNetHooks, options: Options) -> UNetHooks:
    patches: dict[str, list[Callable[..., Any]]] = options.get("patches") or {}
    for name, some in patches.items():
        if name not in _KNOWN and some:
            lacking("comfy.model_patcher", f"ModelPatcher.model_options patches[{name!r}]")
    for which in cast(tuple[Attention, ...], ("attn1", "attn2")):
        for patch in patches.get(f"{which}_patch", []):
            hooks = hooks.with_inputs(which, partial(_inputs, patch, options))
        for patch in patches.get(f"{which}_output_patch", []):
            hooks = hooks.with_outputs(which, partial(_tokens, patch, options))
    for patch in patches.get("middle_patch", []):
        hooks = hooks.with_between(partial(_tokens, patch, options))
    for patch in patches.get("input_block_patch", []):
        hooks = hooks.with_after_input(partial(_features, patch, options))
    for patch in patches.get("input_block_patch_after_skip", []):
        hooks = hooks.with_after_skip(partial(_features, patch, options))
    for patch in patches.get("output_block_patch", []):
        hooks = hooks.with_before_output(partial(_join, patch, options))
    return hooks


def _with_replaced(hooks: UNetHooks, options: Options) -> UNetHooks:
    replaced: dict[str, dict[tuple[Any, ...], Callable[..., Any]]] = options.get("patches_replace") or {}
    for which, by_place in replaced.items():
        if which not in ("attn1", "attn2"):
            if by_place:
                lacking("comfy.model_patcher", f"ModelPatcher.model_options patches_replace[{which!r}]")
            continue
        ours: AttentionHooks = getattr(hooks, which)
        attends = {_place(place): partial(_attend, function, options) for place, function in by_place.items()}
        found = replace(ours, replaced={**ours.replaced, **attends})
        hooks = replace(hooks, attn1=found) if which == "attn1" else replace(hooks, attn2=found)
    return hooks


def _place(given: tuple[Any, ...]) -> Place:
    """A block, or one transformer block of it."""
    return given[0], int(given[1]), int(given[2]) if len(given) > 2 else None


def _with_control(hooks: UNetHooks, control: Residuals | None) -> UNetHooks:
    """Adds residuals: `input` to input blocks, `middle`, `output` to skip connections, last block first."""
    if not control:
        return hooks
    inputs, middle = list(control.get("input") or ()), list(control.get("middle") or ())
    outputs = list(control.get("output") or ())

    def at(residuals: Sequence[Tensor | None], index: int, h: Tensor) -> Tensor:
        found = residuals[index] if -len(residuals) <= index < len(residuals) else None
        return h if found is None or found.shape[2:] != h.shape[2:] else h + found.to(h)

    def after_input(h: Tensor, info: BlockInfo) -> Tensor:
        # Packs list these from the last input block back, as the way up takes skip connections.
        return at(inputs, -1 - info.number, h)

    def after_middle(h: Tensor, info: BlockInfo) -> Tensor:
        return at(middle, -1, h)

    def before_output(h: Tensor, skip: Tensor, info: BlockInfo) -> tuple[Tensor, Tensor]:
        return h, at(outputs, -1 - info.number, skip)

    found = hooks.with_after_input(after_input).with_after_middle(after_middle)
    # Residuals come before what patches do at the joint.
    return replace(found, before_output=(before_output, *found.before_output))


def _told(options: Options, info: BlockInfo) -> Options:
    """`extra_options` as patches are given them."""
    told = {**options, "block": (info.kind, info.number), "transformer_index": info.transformer}
    if isinstance(info, AttentionInfo):
        rows = info.sigma.shape[0]
        told |= {
            "block_index": info.index,
            "n_heads": info.heads,
            "dim_head": info.dim_head,
            "activations_shape": [rows, info.heads * info.dim_head, *info.size],
        }
    return told


def _inputs(
    patch: Callable[..., Any], options: Options, q: Tensor, k: Tensor, v: Tensor, info: AttentionInfo
) -> tuple[Tensor, Tensor, Tensor]:
    q, k, v = patch(q, k, v, _told(options, info))
    return q, k, v


def _attend(
    patch: Callable[..., Any], options: Options, q: Tensor, k: Tensor, v: Tensor, info: AttentionInfo
) -> Tensor:
    return cast(Tensor, patch(q, k, v, _told(options, info)))


def _tokens(patch: Callable[..., Any], options: Options, x: Tensor, info: AttentionInfo) -> Tensor:
    return cast(Tensor, patch(x, _told(options, info)))


def _features(patch: Callable[..., Any], options: Options, h: Tensor, info: BlockInfo) -> Tensor:
    return cast(Tensor, patch(h, _told(options, info)))


def _join(
    patch: Callable[..., Any], options: Options, h: Tensor, skip: Tensor, info: BlockInfo
) -> tuple[Tensor, Tensor]:
    h, skip = patch(h, skip, _told(options, info))
    return h, skip
