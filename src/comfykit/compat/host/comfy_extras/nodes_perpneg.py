"""`comfy_extras.nodes_perpneg`."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from comfykit.compat.extras import classes
from comfykit.compat.host.comfy import samplers

globals().update(classes(__name__))


def perp_neg(
    x: Tensor,
    noise_pred_pos: Tensor,
    noise_pred_neg: Tensor,
    noise_pred_nocond: Tensor,
    neg_scale: float,
    cond_scale: float,
) -> Tensor:
    """Guided away from what the negative prompt says and the positive one does not (arXiv 2304.04968)."""
    pos, neg = noise_pred_pos - noise_pred_nocond, noise_pred_neg - noise_pred_nocond
    across = neg - (neg * pos).sum() / (pos**2).sum() * pos
    return noise_pred_nocond + cond_scale * (pos - across * neg_scale)


class Guider_PerpNeg(samplers.CFGGuider):  # noqa: N801
    """Guided by three sides; packs subclass it."""

    def set_conds(self, positive: Any, negative: Any, empty_negative_prompt: Any = None) -> None:
        """What to guide to, away from, and what says nothing."""
        sides = {"positive": positive, "empty_negative_prompt": empty_negative_prompt, "negative": negative}
        self.inner_set_conds(sides)

    def set_cfg(self, cfg: float, neg_scale: float = 1.0) -> None:
        """How strongly, and how strongly away."""
        self.cfg, self.neg_scale = cfg, neg_scale

    def predict_noise(
        self, x: Tensor, timestep: Tensor, model_options: Any = None, seed: int | None = None
    ) -> Tensor:
        """The guided prediction."""
        options = model_options or {}
        names = ("negative", "positive", "empty_negative_prompt")
        sides = [self.conds.get(name) for name in names]
        neg, pos, empty = samplers.calc_cond_batch(self.inner_model, sides, x, timestep, options)
        found = perp_neg(x, x - pos, x - neg, x - empty, self.neg_scale, self.cfg)
        guided = x - found
        for function in options.get("sampler_post_cfg_function", []):
            told = {
                "denoised": guided,
                "cond": sides[1],
                "uncond": sides[0],
                "cond_scale": self.cfg,
                "input": x,
            }
            told |= {
                "model": self.inner_model,
                "uncond_denoised": neg,
                "cond_denoised": pos,
                "sigma": timestep,
            }
            guided = function(
                {**told, "model_options": options, "empty_cond": sides[2], "empty_cond_denoised": empty}
            )
        return guided
