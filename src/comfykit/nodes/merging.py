"""Nodes that merge models and text encoders, weight by weight. Nothing is computed until a result is used."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Annotated, TypeAlias

from comfykit.engine.define import node, number, socket
from comfykit.engine.schema import Body, Input, NodeClass, OutputSlot
from comfykit.families.components import DiffusionModel
from comfykit.families.merge import Factors, by_block, merge_models, merge_text_encoders, mix
from comfykit.nodes.context import NodeContext
from comfykit.nodes.types import Clip, Context, Model

CATEGORY = "advanced/model_merging"
RATIO: Input = number(1.0, 0.0, 1.0)
Ratio: TypeAlias = Annotated[float, RATIO]
Multiplier: TypeAlias = Annotated[float, number(1.0, -10.0, 10.0)]


@node("ModelMergeSimple", title="ModelMergeSimple", category=CATEGORY)
def model_merge_simple(context: Context, model1: Model, model2: Model, ratio: Ratio) -> Model:
    """Mix two models: ratio * model1 + (1 - ratio) * model2."""
    return _merge(context, model1, model2, lambda name: mix(ratio))


@node("ModelMergeBlocks", title="ModelMergeBlocks", category=CATEGORY)
def model_merge_blocks(
    context: Context,
    model1: Model,
    model2: Model,
    input: Ratio,  # noqa: A002  (the input's name in ComfyUI)
    middle: Ratio,
    out: Ratio,
) -> Model:
    """Mix two models with a ratio for each third of the U-Net; 1 is all of model1.

    What lies outside of the blocks, such as the embedding of the timestep, takes the ratio of `input`.
    """
    ratios = {"input": input, "middle": middle, "out": out}
    return _merge(context, model1, model2, by_block(ratios, input))


@node("ModelMergeAdd", title="ModelMergeAdd", category=CATEGORY)
def model_merge_add(context: Context, model1: Model, model2: Model) -> Model:
    """Add the weights of two models, of which one is usually a difference: model1 + model2."""
    return _merge(context, model1, model2, lambda name: (1.0, 1.0))


@node("ModelMergeSubtract", title="ModelMergeSubtract", category=CATEGORY)
def model_merge_subtract(context: Context, model1: Model, model2: Model, multiplier: Multiplier) -> Model:
    """The difference of two models: multiplier * (model1 - model2)."""
    return _merge(context, model1, model2, lambda name: (multiplier, -multiplier))


@node("CLIPMergeSimple", title="CLIPMergeSimple", category=CATEGORY)
def clip_merge_simple(context: Context, clip1: Clip, clip2: Clip, ratio: Ratio) -> Clip:
    """Mix two text encoders: ratio * clip1 + (1 - ratio) * clip2."""
    return merge_text_encoders(clip1, clip2, context.residency, mix(ratio))


@node("CLIPMergeAdd", title="CLIPMergeAdd", category=CATEGORY)
def clip_merge_add(context: Context, clip1: Clip, clip2: Clip) -> Clip:
    """Add the weights of two text encoders, of which one is usually a difference: clip1 + clip2."""
    return merge_text_encoders(clip1, clip2, context.residency, (1.0, 1.0))


@node("CLIPMergeSubtract", title="CLIPMergeSubtract", category=CATEGORY)
def clip_merge_subtract(context: Context, clip1: Clip, clip2: Clip, multiplier: Multiplier) -> Clip:
    """The difference of two text encoders: multiplier * (clip1 - clip2)."""
    return merge_text_encoders(clip1, clip2, context.residency, (multiplier, -multiplier))


def _numbered(block: str, count: int, end: str) -> Iterable[str]:
    return (f"{block}.{number}{end}" for number in range(count))


def _block_names(blocks: int, end: str) -> tuple[str, ...]:
    """Beginnings of the names of a U-Net's parts that has so many blocks on each way."""
    numbered = (("input_blocks", blocks), ("middle_block", 3), ("output_blocks", blocks))
    inner = (name for block, count in numbered for name in _numbered(block, count, end))
    return ("time_embed.", "label_emb.", *inner, "out.")


def _merge_by_block(name: str, title: str, blocks: tuple[str, ...]) -> Callable[..., tuple[DiffusionModel]]:
    """A node class with a ratio for every block; its inputs are called like the blocks, dots and all."""

    def merge(
        context: NodeContext, model1: DiffusionModel, model2: DiffusionModel, **ratios: float
    ) -> tuple[DiffusionModel]:
        return (_merge(context, model1, model2, by_block(ratios, ratios[blocks[0]])),)

    models = {f"model{number}": socket("MODEL") for number in (1, 2)}
    entry = NodeClass(
        name=name,
        bind=lambda: Body(merge),
        inputs={**models, **dict.fromkeys(blocks, RATIO)},
        outputs=(OutputSlot("MODEL", "MODEL"),),
        hidden={"context": "CONTEXT"},
        title=name,
        category=f"{CATEGORY}/model_specific",
        description=f"Mix two {title} models with a ratio for every block; 1 is all of model1.",
        module=__name__,
    )
    merge.__node_class__ = entry  # type: ignore[attr-defined]
    return merge


model_merge_sd1 = _merge_by_block("ModelMergeSD1", "Stable Diffusion 1.x", _block_names(12, "."))
model_merge_sd2 = _merge_by_block("ModelMergeSD2", "Stable Diffusion 2.x", _block_names(12, "."))
model_merge_sdxl = _merge_by_block("ModelMergeSDXL", "SDXL", _block_names(9, ""))


def _merge(
    context: NodeContext,
    first: DiffusionModel,
    second: DiffusionModel,
    factors: Callable[[str], Factors],
) -> DiffusionModel:
    """The merged model; a warning where the two are not of one make."""
    merged = merge_models(first, second, context.residency, factors)
    if merged.left_out:
        some = ", ".join(merged.left_out[:3])
        context.warn(f"{len(merged.left_out)} weights of model2 do not fit model1 and are left out: {some}")
    return merged.model
