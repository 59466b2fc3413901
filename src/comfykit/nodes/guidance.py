"""Nodes that change how a model is guided: what becomes of the positive and the negative prediction."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Annotated

from comfykit.engine.define import integer, node, number
from comfykit.nodes.types import Conditioning, LatentOperation, Model
from comfykit.sampling.rules.frequencies import frequency_scaled
from comfykit.sampling.rules.leap import leaped
from comfykit.sampling.rules.projections import (
    adaptive_projected,
    perpendicular_negative,
    tangential,
    zero_star,
)
from comfykit.sampling.rules.rescaling import channels_renormalized, renormalized, rescaled
from comfykit.sampling.rules.scales import linear_over_batch, noise_scaled, operated, triangle_over_batch

PATCHED = ("patched_model",)
MAHIRO = "Mahiro is so cute that she deserves a better guidance function!! (。・ω・。)"

MinCfg = Annotated[float, number(1.0, 0.0, 100.0, 0.5, round=0.01)]
Scale = Annotated[float, number(1.0, 0.0, 10)]


@node("RescaleCFG", title="RescaleCFG", category="advanced/model")
def rescale_cfg(model: Model, multiplier: Annotated[float, number(0.7, 0.0, 1.0)]) -> Model:
    """Keep strong guidance from overexposing: bring its contrast back to that of the positive prediction.

    `multiplier` 0 leaves guidance as it is, 1 takes the rescaled prediction alone.
    """
    return replace(model, rules=model.rules.combined_by(partial(rescaled, multiplier=multiplier)))


@node("RenormCFG", title="RenormCFG", category="advanced/model")
def renorm_cfg(
    model: Model,
    cfg_trunc: Annotated[float, number(100, 0.0, 100.0)],
    renorm_cfg: Annotated[float, number(1.0, 0.0, 100.0)],
) -> Model:
    """Guide only below the noise level `cfg_trunc`, and to a limited size.

    The guided prediction gets no larger than `renorm_cfg` times the positive one; 0 sets no limit.
    """
    combine = partial(renormalized, cfg_trunc=cfg_trunc, renorm_cfg=renorm_cfg)
    return replace(model, rules=model.rules.combined_by(combine))


@node("CFGNorm", title="CFGNorm", category="advanced/guidance", output_names=PATCHED)
def cfg_norm(model: Model, strength: Annotated[float, number(1.0, 0.0, 100.0)]) -> Model:
    """Let guidance change the direction of each place's vector and not make it longer.

    The result is multiplied by `strength`.
    """
    return replace(model, rules=model.rules.then(partial(channels_renormalized, strength=strength)))


@node("APG", title="Adaptive Projected Guidance", category="sampling/custom_sampling")
def apg(
    model: Model,
    eta: Annotated[float, number(1.0, -10.0, 10.0)],
    norm_threshold: Annotated[float, number(5.0, 0.0, 50.0, 0.1)],
    momentum: Annotated[float, number(0.0, -5.0, 1.0)],
) -> Model:
    """Take out of guidance what oversaturates.

    `eta` weighs the part of guidance along the positive prediction (below 1 less saturation),
    `norm_threshold` limits the size of its change (0: no limit), and a negative `momentum` pushes away from
    the changes of earlier steps.
    """
    rule = partial(
        adaptive_projected, eta=eta, norm_threshold=norm_threshold, momentum=momentum, key=object()
    )
    return replace(model, rules=model.rules.first(rule))


@node("TCFG", title="Tangential Damping CFG", category="advanced/guidance", output_names=PATCHED)
def tcfg(model: Model) -> Model:
    """Drop from the negative prediction what points across the direction that both sides share."""
    return replace(model, rules=model.rules.first(tangential))


@node("CFGZeroStar", title="CFGZeroStar", category="advanced/guidance", output_names=PATCHED)
def cfg_zero_star(model: Model) -> Model:
    """Guide away from the multiple of the negative prediction that is nearest to the positive one."""
    return replace(model, rules=model.rules.then(zero_star))


@node("Mahiro", title=MAHIRO, category="_for_testing", output_names=PATCHED)
def mahiro(model: Model) -> Model:
    """Guide along the direction of the positive prompt more than away from the negative one."""
    return replace(model, rules=model.rules.then(leaped))


@node("FreSca", title="FreSca", category="_for_testing")
def fresca(
    model: Model,
    scale_low: Scale,
    scale_high: Annotated[float, number(1.25, 0.0, 10)],
    freq_cutoff: Annotated[int, integer(20, 1, 10000)],
) -> Model:
    """Scale what guidance changes, large shapes and fine detail apart.

    Waves with at most `freq_cutoff` periods across the latent are large shapes.
    """
    rule = partial(frequency_scaled, scale_low=scale_low, scale_high=scale_high, freq_cutoff=freq_cutoff)
    return replace(model, rules=model.rules.first(rule))


@node("Epsilon Scaling", title="Epsilon Scaling", category="model_patches/unet")
def epsilon_scaling(
    model: Model,
    scaling_factor: Annotated[float, number(1.005, 0.5, 1.5, 0.001, display="number")],
) -> Model:
    """Divide the predicted noise, against errors that add up over the steps; above 1 keeps more detail."""
    return replace(model, rules=model.rules.then(partial(noise_scaled, scaling_factor=scaling_factor)))


@node(
    "PerpNeg",
    title="Perp-Neg (DEPRECATED by PerpNegGuider)",
    category="_for_testing",
)
def perp_neg(
    model: Model,
    empty_conditioning: Conditioning,
    neg_scale: Annotated[float, number(1.0, 0.0, 100.0)],
) -> Model:
    """Guide away from what the negative prompt says and the positive one does not.

    `empty_conditioning` is that of an empty prompt.
    """
    combine = partial(perpendicular_negative, neg_scale=neg_scale, empty=len(model.further))
    return replace(
        model,
        rules=model.rules.combined_by(combine, always_negative=True),
        further=(*model.further, empty_conditioning),
    )


@node("VideoLinearCFGGuidance", title="VideoLinearCFGGuidance", category="sampling/video_models")
def video_linear_cfg_guidance(model: Model, min_cfg: MinCfg) -> Model:
    """Guide the first picture of a batch by `min_cfg`, the last by the sampler's cfg, evenly between."""
    combine = partial(linear_over_batch, min_cfg=min_cfg)
    return replace(model, rules=model.rules.combined_by(combine, always_negative=True))


@node("VideoTriangleCFGGuidance", title="VideoTriangleCFGGuidance", category="sampling/video_models")
def video_triangle_cfg_guidance(model: Model, min_cfg: MinCfg) -> Model:
    """Guide the middle of a batch by the sampler's cfg, both ends by `min_cfg`, evenly between."""
    combine = partial(triangle_over_batch, min_cfg=min_cfg)
    return replace(model, rules=model.rules.combined_by(combine, always_negative=True))


@node("LatentApplyOperationCFG", title="LatentApplyOperationCFG", category="latent/advanced/operations")
def latent_apply_operation_cfg(model: Model, operation: LatentOperation) -> Model:
    """Apply an operation on latents to what guidance changes, in every step."""
    return replace(model, rules=model.rules.first(partial(operated, operation=operation)))
