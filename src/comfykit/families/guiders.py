"""GUIDER: a model with what guides it, ready to sample.

A guider makes a denoiser for a run. `sample` is the one way from a LATENT to a LATENT: unscaled and on the
CPU at both ends, in the model's scale on its device between.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, TypeAlias

import torch
from torch import Tensor

from comfykit.families.components import DiffusionModel
from comfykit.families.conditioning import from_link
from comfykit.families.control import lend_controls
from comfykit.families.family import Scene
from comfykit.memory import Residency
from comfykit.sampling.conditioning import Cond, fit_mask
from comfykit.sampling.denoiser import Denoiser, Predict, StepCallback, StepInfo
from comfykit.sampling.guidance import NEGATIVE, POSITIVE, GuidedDenoiser
from comfykit.sampling.rules.projections import perpendicular_negative
from comfykit.sampling.rules.scales import two_guidances
from comfykit.sampling.sample import run_sampler
from comfykit.sampling.samplers import SamplerSpec

Conditioning: TypeAlias = Sequence[Sequence[Any]]


class Guider(Protocol):
    """What guides a run."""

    @property
    def model(self) -> DiffusionModel:
        """The model that is guided."""
        ...

    def denoiser(self, predict: Predict, scene: Scene) -> Denoiser:
        """The denoiser of one run."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class CFGGuider:
    """Guided by a positive and a negative prompt; `cfg` says how strongly."""

    model: DiffusionModel
    positive: Conditioning
    negative: Conditioning
    cfg: float

    def denoiser(self, predict: Predict, scene: Scene) -> Denoiser:
        """Both sides, combined by the model's rules."""
        positive = conds(self.model, self.positive, POSITIVE, scene)
        negative = conds(self.model, lend_controls(self.positive, self.negative), NEGATIVE, scene)
        further = further_conds(self.model, scene)
        return GuidedDenoiser(predict, positive, negative, self.cfg, self.model.rules, further=further)


@dataclass(frozen=True, slots=True, eq=False)
class BasicGuider:
    """Guided by one prompt alone."""

    model: DiffusionModel
    conditioning: Conditioning

    def denoiser(self, predict: Predict, scene: Scene) -> Denoiser:
        """One side; the model's rules apply as they do at `cfg` 1."""
        positive = conds(self.model, self.conditioning, POSITIVE, scene)
        further = further_conds(self.model, scene)
        return GuidedDenoiser(predict, positive, (), 1.0, self.model.rules, further=further)


@dataclass(frozen=True, slots=True, eq=False)
class DualCFGGuider:
    """Guided by two prompts: from `negative` to `middle` by `cfg_middle`, from there to `positive` by `cfg`.

    What `nested` is, `rules.scales.two_guidances` says.
    """

    model: DiffusionModel
    positive: Conditioning
    middle: Conditioning
    negative: Conditioning
    cfg: float
    cfg_middle: float
    nested: bool = False

    def denoiser(self, predict: Predict, scene: Scene) -> Denoiser:
        """Three sides; the model's own way to combine two is that of the second and the negative one."""
        rules = self.model.rules
        further = further_conds(self.model, scene, lend_controls(self.positive, self.middle))
        combine = partial(
            two_guidances,
            combine=rules.combine,
            cfg_middle=self.cfg_middle,
            nested=self.nested,
            middle=len(further) - 1,
        )
        return GuidedDenoiser(
            predict,
            conds(self.model, self.positive, POSITIVE, scene),
            conds(self.model, lend_controls(self.positive, self.negative), NEGATIVE, scene),
            self.cfg,
            rules.combined_by(combine, always_negative=True),
            further=further,
        )


@dataclass(frozen=True, slots=True, eq=False)
class PerpNegGuider:
    """Guided away from what a negative prompt says and the positive one does not; `empty` says nothing."""

    model: DiffusionModel
    positive: Conditioning
    negative: Conditioning
    empty: Conditioning
    cfg: float
    neg_scale: float

    def denoiser(self, predict: Predict, scene: Scene) -> Denoiser:
        """Three sides; the model's own way to combine two gives way."""
        further = further_conds(self.model, scene, lend_controls(self.positive, self.empty))
        combine = partial(perpendicular_negative, neg_scale=self.neg_scale, empty=len(further) - 1)
        return GuidedDenoiser(
            predict,
            conds(self.model, self.positive, POSITIVE, scene),
            conds(self.model, lend_controls(self.positive, self.negative), NEGATIVE, scene),
            self.cfg,
            self.model.rules.combined_by(combine, always_negative=True),
            further=further,
        )


def conds(model: DiffusionModel, conditioning: Conditioning, side: int, scene: Scene) -> list[Cond]:
    """The conditionings of one side for one run."""
    return from_link(conditioning, model, side, scene)


def further_conds(model: DiffusionModel, scene: Scene, *more: Conditioning) -> list[list[Cond]]:
    """The conditionings of the sides after the negative one: the model's, then those of the guider."""
    all_of_them = (*model.further, *more)
    return [conds(model, one, side, scene) for side, one in enumerate(all_of_them, NEGATIVE + 1)]


@dataclass(frozen=True, slots=True, eq=False)
class Sampled:
    """The latent at the end of a run, and the last prediction of the clean one."""

    samples: Tensor
    denoised: Tensor


def sample(
    guider: Guider,
    residency: Residency,
    *,
    samples: Tensor,
    noise: Tensor,
    sampler: SamplerSpec,
    sigmas: Tensor,
    seed: int,
    mask: Tensor | None = None,
    callback: Callable[[StepInfo], None] = lambda info: None,
) -> Sampled:
    """Sample from a latent [batch, channels, h, w] of the VAE's scale, with the channels of the model."""
    host = guider.model.host or sampler.host
    if host is not None:
        hosted: Sampled = host(
            guider,
            residency,
            samples=samples,
            noise=noise,
            sampler=sampler,
            sigmas=sigmas,
            seed=seed,
            mask=mask,
            callback=callback,
        )
        return hosted
    model, device = guider.model, residency.device
    form = model.family.latent_format
    predict = model.predictor(residency)
    latent = form.to_model(samples.to(device))
    noise = noise.to(device)
    fitted = None if mask is None else fit_mask(mask, latent)
    last: list[Tensor] = []

    def on_step(info: StepInfo) -> None:
        last[:] = [info.denoised]
        callback(info)

    watch: StepCallback = on_step
    result = run_sampler(
        guider.denoiser(predict, Scene(latent, noise, fitted, model.network.config, form, seed)),
        levels=model.levels,
        parametrization=model.parametrization,
        latent=latent,
        noise=noise,
        sigmas=sigmas,
        sampler=sampler,
        seed=seed,
        mask=mask,
        mask_rule=model.mask_rule,
        callback=watch,
    )
    denoised = last[0] if last else result
    return Sampled(form.from_model(result).float().cpu(), form.from_model(denoised).float().cpu())


def fit_channels(samples: Tensor, channels: int) -> Tensor:
    """An empty latent, which any model may be given, with the channels that this one wants."""
    if samples.shape[1] == channels or torch.count_nonzero(samples):
        return samples
    return samples.new_zeros((samples.shape[0], channels, *samples.shape[2:]))
