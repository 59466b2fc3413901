"""GUIDER: a model with what guides it, ready to sample.

A guider makes a denoiser for a run. `sample` is the one way from a LATENT to a LATENT: unscaled and on the
CPU at both ends, in the model's scale on its device between.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import torch
from torch import Tensor

from comfykit.families.components import DiffusionModel
from comfykit.families.conditioning import from_link
from comfykit.families.family import Scene
from comfykit.memory import Residency
from comfykit.sampling.conditioning import Cond, fit_mask
from comfykit.sampling.denoiser import Denoiser, Predict, StepCallback, StepInfo
from comfykit.sampling.guidance import NEGATIVE, POSITIVE, GuidedDenoiser
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
        negative = conds(self.model, self.negative, NEGATIVE, scene)
        return GuidedDenoiser(predict, positive, negative, self.cfg, self.model.rules)


@dataclass(frozen=True, slots=True, eq=False)
class BasicGuider:
    """Guided by one prompt alone."""

    model: DiffusionModel
    conditioning: Conditioning

    def denoiser(self, predict: Predict, scene: Scene) -> Denoiser:
        """One side; the model's rules apply as they do at `cfg` 1."""
        positive = conds(self.model, self.conditioning, POSITIVE, scene)
        return GuidedDenoiser(predict, positive, (), 1.0, self.model.rules)


def conds(model: DiffusionModel, conditioning: Conditioning, side: int, scene: Scene) -> list[Cond]:
    """The conditionings of one side for one run."""
    return from_link(conditioning, model, side, scene)


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
        guider.denoiser(predict, Scene(latent, noise, fitted, model.network.config, form)),
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
