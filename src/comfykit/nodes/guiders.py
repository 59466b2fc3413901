"""Nodes that make guiders, for samplers that take one."""

from __future__ import annotations

from typing import Annotated

from comfykit.engine.define import combo, node, number
from comfykit.families.guiders import BasicGuider, CFGGuider, DualCFGGuider, PerpNegGuider
from comfykit.nodes.sampling import Cfg
from comfykit.nodes.types import Conditioning, GuiderInput, Model

CATEGORY = "sampling/custom_sampling/guiders"


@node("BasicGuider", title="BasicGuider", category=CATEGORY)
def basic_guider(model: Model, conditioning: Conditioning) -> GuiderInput:
    """Follow one prompt, without guidance."""
    return BasicGuider(model, conditioning)


@node("CFGGuider", title="CFGGuider", category=CATEGORY)
def cfg_guider(model: Model, positive: Conditioning, negative: Conditioning, cfg: Cfg) -> GuiderInput:
    """Guide from the negative to the positive prompt; `cfg` says how strongly."""
    return CFGGuider(model, positive, negative, cfg)


@node("DualCFGGuider", title="DualCFGGuider", category=CATEGORY)
def dual_cfg_guider(
    model: Model,
    cond1: Conditioning,
    cond2: Conditioning,
    negative: Conditioning,
    cfg_conds: Cfg,
    cfg_cond2_negative: Cfg,
    style: Annotated[str, combo(("regular", "nested"))],
) -> GuiderInput:
    """Guide by two prompts: from the negative prompt to `cond2`, and from `cond2` to `cond1`.

    Each has a strength of its own. "regular" adds both, "nested" guides from the negative prompt to what
    guidance from `cond2` to `cond1` makes.
    """
    return DualCFGGuider(
        model, cond1, cond2, negative, cfg_conds, cfg_cond2_negative, nested=style == "nested"
    )


@node("PerpNegGuider", title="PerpNegGuider", category="_for_testing")
def perp_neg_guider(
    model: Model,
    positive: Conditioning,
    negative: Conditioning,
    empty_conditioning: Conditioning,
    cfg: Cfg,
    neg_scale: Annotated[float, number(1.0, 0.0, 100.0)],
) -> GuiderInput:
    """Guide away from what the negative prompt says and the positive one does not.

    `empty_conditioning` is that of an empty prompt, `neg_scale` the weight of the negative one.
    """
    return PerpNegGuider(model, positive, negative, empty_conditioning, cfg, neg_scale)
