"""Nodes that scale the weights of attention."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Annotated

from torch import Tensor

from comfykit.engine.define import node, number
from comfykit.families.components import DiffusionModel
from comfykit.nodes.types import Clip, Model
from comfykit.weights.patch import Entry, Patches

CATEGORY = "_for_testing/attention_experiments"

Factor = Annotated[float, number(1.0, 0.0, 10.0)]


@node("UNetSelfAttentionMultiply", title="UNetSelfAttentionMultiply", category=CATEGORY)
def unet_self_attention_multiply(model: Model, q: Factor, k: Factor, v: Factor, out: Factor) -> Model:
    """Scale the projections of self-attention: queries, keys, values and output."""
    return _with_factors(model, {f"attn1.to_{name}": factor for name, factor in _named(q, k, v, out)})


@node("UNetCrossAttentionMultiply", title="UNetCrossAttentionMultiply", category=CATEGORY)
def unet_cross_attention_multiply(model: Model, q: Factor, k: Factor, v: Factor, out: Factor) -> Model:
    """Scale the projections of attention to the prompt: queries, keys, values and output."""
    return _with_factors(model, {f"attn2.to_{name}": factor for name, factor in _named(q, k, v, out)})


@node("UNetTemporalAttentionMultiply", title="UNetTemporalAttentionMultiply", category=CATEGORY)
def unet_temporal_attention_multiply(
    model: Model,
    self_structural: Factor,
    self_temporal: Factor,
    cross_structural: Factor,
    cross_temporal: Factor,
) -> Model:
    """Scale what attention adds, within frames (structural) and between them (temporal).

    A model of pictures has no attention between frames, so that the temporal factors change nothing.
    """
    factors = {"attn1.to_out.0": self_structural, "attn2.to_out.0": cross_structural}
    return _with_factors(model, factors)


@node("CLIPAttentionMultiply", title="CLIPAttentionMultiply", category=CATEGORY)
def clip_attention_multiply(clip: Clip, q: Factor, k: Factor, v: Factor, out: Factor) -> Clip:
    """Scale the projections of a text encoder's attention: queries, keys, values and output."""
    factors = {"q_proj": q, "k_proj": k, "v_proj": v, "out_proj": out}
    names = (
        f"{part}.{name}" for part, network in clip.networks.items() for name, _ in network.named_parameters()
    )
    ends = {f"self_attn.{name}": factor for name, factor in factors.items()}
    return replace(clip, patches=_scaled(clip.patches, names, ends))


@dataclass(frozen=True, slots=True)
class Unchanged:
    """A patch that adds nothing, to be applied to a scaled weight."""

    def apply(self, weight: Tensor, strength: float) -> Tensor:
        """The weight itself."""
        return weight


def _named(q: float, k: float, v: float, out: float) -> Iterable[tuple[str, float]]:
    return {"q": q, "k": k, "v": v, "out.0": out}.items()


def _with_factors(model: DiffusionModel, factors: Mapping[str, float]) -> DiffusionModel:
    names = (name for name, _ in model.network.named_parameters())
    return replace(model, patches=_scaled(model.patches, names, factors))


def _scaled(patches: Patches, names: Iterable[str], factors: Mapping[str, float]) -> Patches:
    """The patches, and after them factors of weights and biases by what comes before that in their names."""
    layer = re.compile(rf".*\.({'|'.join(map(re.escape, factors))})\.(weight|bias)")
    found = {name: layer.fullmatch(name) for name in names}
    return patches.with_entries(
        {
            name: Entry(Unchanged(), strength=0.0, strength_model=factors[match[1]])
            for name, match in found.items()
            if match is not None
        }
    )
