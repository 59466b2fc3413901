"""Nodes that change how a U-Net computes, in copies that share its weights."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Annotated

from torch import Tensor

from comfykit.engine.define import boolean, combo, integer, node, number
from comfykit.families.components import DiffusionModel
from comfykit.models.hooks import AttentionInfo, UNetHooks
from comfykit.models.unet_hooks.attention_maps import with_identity_in_middle, with_map_noted
from comfykit.models.unet_hooks.deep_shrink import DeepShrink
from comfykit.models.unet_hooks.freeu import FreeU
from comfykit.models.unet_hooks.hypertile import HyperTile
from comfykit.models.unet_hooks.tome import with_token_merging
from comfykit.nodes.resize import resize
from comfykit.nodes.types import Model
from comfykit.sampling.guidance import NEGATIVE, Memory, Watch
from comfykit.sampling.rules.differential import differential
from comfykit.sampling.rules.perturbed import perturbed, self_attention

CATEGORY = "model_patches/unet"
METHODS = ("bicubic", "nearest-exact", "bilinear", "area", "bislerp")

Percent = Annotated[float, number(0.0, 0.0, 1.0, 0.001)]


@node("FreeU", title="FreeU", category=CATEGORY)
def free_u(
    model: Model,
    b1: Annotated[float, number(1.1, 0.0, 10.0)],
    b2: Annotated[float, number(1.2, 0.0, 10.0)],
    s1: Annotated[float, number(0.9, 0.0, 10.0)],
    s2: Annotated[float, number(0.2, 0.0, 10.0)],
) -> Model:
    """Strengthen the U-Net's features (b) and weaken what it copies from its way down (s).

    1 is for the coarsest level, 2 for the next; factors of 1 change nothing.
    """
    return _with_freeu(model, (b1, s1), (b2, s2), by_place=False)


@node("FreeU_V2", title="FreeU_V2", category=CATEGORY)
def free_u_v2(
    model: Model,
    b1: Annotated[float, number(1.3, 0.0, 10.0)],
    b2: Annotated[float, number(1.4, 0.0, 10.0)],
    s1: Annotated[float, number(0.9, 0.0, 10.0)],
    s2: Annotated[float, number(0.2, 0.0, 10.0)],
) -> Model:
    """FreeU where features are strengthened the more, the higher they are on average at a place."""
    return _with_freeu(model, (b1, s1), (b2, s2), by_place=True)


@node("HyperTile", title="HyperTile", category=CATEGORY)
def hyper_tile(
    model: Model,
    tile_size: Annotated[int, integer(256, 1, 2048)],
    swap_size: Annotated[int, integer(2, 1, 128)],
    max_depth: Annotated[int, integer(0, 0, 10)],
    scale_depth: Annotated[bool, boolean(False)],
) -> Model:
    """Compute self-attention in tiles, which is faster for large pictures.

    `tile_size` is the side of a tile in pixels, at least; `swap_size` how many sizes to draw from, in
    every call; `max_depth` how many halvings of the picture to go down, and `scale_depth` makes tiles of the
    levels below larger.
    """
    tiles = HyperTile(tile_size, swap_size, max_depth, scale_depth)
    return replace(model, hooks=tiles.added_to(model.hooks))


@node("PatchModelAddDownscale", title="PatchModelAddDownscale (Kohya Deep Shrink)", category=CATEGORY)
def patch_model_add_downscale(
    model: Model,
    block_number: Annotated[int, integer(3, 1, 32)],
    downscale_factor: Annotated[float, number(2.0, 0.1, 9.0, 0.001)],
    start_percent: Percent,
    end_percent: Annotated[float, number(0.35, 0.0, 1.0, 0.001)],
    downscale_after_skip: Annotated[bool, boolean(True)],
    downscale_method: Annotated[str, combo(METHODS)],
    upscale_method: Annotated[str, combo(METHODS)],
) -> Model:
    """Let the deeper part of the U-Net see a smaller picture in early steps, so that large ones cohere.

    Features are shrunk at the input block `block_number` and enlarged again on the way up. With
    `downscale_after_skip` the block's own skip connection keeps its size.
    """
    shrinking = DeepShrink(
        block=block_number,
        factor=downscale_factor,
        start_sigma=model.levels.percent_to_sigma(start_percent),
        end_sigma=model.levels.percent_to_sigma(end_percent),
        shrink=partial(resize, method=downscale_method),
        enlarge=partial(resize, method=upscale_method),
    )
    return replace(model, hooks=shrinking.added_to(model.hooks, after_skip=downscale_after_skip))


@node("TomePatchModel", title="TomePatchModel", category=CATEGORY)
def tome_patch_model(model: Model, ratio: Annotated[float, number(0.3, 0.0, 1.0)]) -> Model:
    """Merge tokens that resemble each other before self-attention, which is faster and less exact.

    `ratio` is the part of the tokens to merge; at most three of four can be.
    """
    return replace(model, hooks=with_token_merging(model.hooks, ratio))


@node("DifferentialDiffusion", title="Differential Diffusion", category="_for_testing")
def differential_diffusion(model: Model, strength: Annotated[float, number(1.0, 0.0, 1.0)] = 1.0) -> Model:
    """Let grey values of an inpainting mask say how much a place may change.

    A place is kept in the first steps, the longer the darker the mask is there. `strength` below 1 mixes in
    the mask as it is.
    """
    return replace(model, mask_rule=partial(differential, strength=strength))


@node("PerturbedAttentionGuidance", title="PerturbedAttentionGuidance", category=CATEGORY)
def perturbed_attention_guidance(
    model: Model, scale: Annotated[float, number(3.0, 0.0, 100.0, round=0.01)]
) -> Model:
    """Guide away from what the model predicts without self-attention in its middle.

    Costs one more prediction a step; works without a negative prompt too.
    """
    rule = partial(perturbed, scale=scale, change=with_identity_in_middle)
    return replace(model, rules=model.rules.then(rule))


@node("SelfAttentionGuidance", title="Self-Attention Guidance", category="_for_testing")
def self_attention_guidance(
    model: Model,
    scale: Annotated[float, number(0.5, -2.0, 5.0)],
    blur_sigma: Annotated[float, number(2.0, 0.0, 10.0, 0.1)],
) -> Model:
    """Guide away from what the model predicts when the places it attends to are blurred.

    Costs one more prediction a step.
    """
    key = object()
    rule = partial(self_attention, scale=scale, blur_sigma=blur_sigma, key=key)
    rules = model.rules.then(rule, always_negative=True).watched_by(_noting_maps(key))
    return replace(model, rules=rules)


def _with_freeu(
    model: DiffusionModel, coarsest: tuple[float, float], next_one: tuple[float, float], *, by_place: bool
) -> DiffusionModel:
    channels = model.network.config.model_channels
    hook = FreeU({4 * channels: coarsest, 2 * channels: next_one}, by_place)
    return replace(model, hooks=model.hooks.with_before_output(hook))


def _noting_maps(key: object) -> Watch:
    """Notes the negative side's map of self-attention in the middle block, by the latent's size."""

    def watch(hooks: UNetHooks, memory: Memory) -> UNetHooks:
        def note(attention_map: Tensor, info: AttentionInfo) -> None:
            memory.setdefault(key, {})[info.latent_size] = attention_map, info.size

        return with_map_noted(hooks, NEGATIVE, note)

    return watch
