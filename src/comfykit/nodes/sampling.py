"""The KSampler nodes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import torch
from torch import Tensor

from comfykit.engine.define import combo, integer, node, number
from comfykit.families.components import DiffusionModel
from comfykit.families.conditioning import from_link
from comfykit.nodes.context import NodeContext
from comfykit.nodes.types import Conditioning, Context, Latent, Model
from comfykit.sampling.denoiser import StepInfo
from comfykit.sampling.noise import initial_noise
from comfykit.sampling.sample import cut_sigmas, sample
from comfykit.sampling.samplers import SAMPLERS
from comfykit.sampling.schedulers import SCHEDULERS, make_sigmas

LARGEST_SEED = 2**64 - 1

Seed = Annotated[int, integer(0, 0, LARGEST_SEED, control_after_generate=True)]
Steps = Annotated[int, integer(20, 1, 10_000)]
Cfg = Annotated[float, number(8.0, 0.0, 100.0, 0.1, round=0.01)]
SamplerName = Annotated[str, combo(tuple(SAMPLERS))]
SchedulerName = Annotated[str, combo(tuple(SCHEDULERS))]
Step = Annotated[int, integer(0, 0, 10_000)]


@node("KSampler", title="KSampler", category="sampling")
def ksampler(
    context: Context,
    model: Model,
    seed: Seed,
    steps: Steps,
    cfg: Cfg,
    sampler_name: SamplerName,
    scheduler: SchedulerName,
    positive: Conditioning,
    negative: Conditioning,
    latent_image: Latent,
    denoise: Annotated[float, number(1.0, 0.0, 1.0)],
) -> Latent:
    """Denoise a latent from noise.

    `denoise` below 1 keeps some of the latent: it begins that far from the end of a longer schedule.
    """
    sigmas = make_sigmas(model.levels, scheduler, steps, denoise, sampler_name)
    guidance = Guidance(positive, negative, cfg)
    return sample_latent(context, model, latent_image, guidance, sampler_name, sigmas, seed)


@node("KSamplerAdvanced", title="KSampler (Advanced)", category="sampling")
def ksampler_advanced(
    context: Context,
    model: Model,
    add_noise: Annotated[str, combo(("enable", "disable"))],
    noise_seed: Seed,
    steps: Steps,
    cfg: Cfg,
    sampler_name: SamplerName,
    scheduler: SchedulerName,
    positive: Conditioning,
    negative: Conditioning,
    latent_image: Latent,
    start_at_step: Step,
    end_at_step: Annotated[int, integer(10_000, 0, 10_000)],
    return_with_leftover_noise: Annotated[str, combo(("disable", "enable"))],
) -> Latent:
    """Do some of the steps of a schedule, so that several samplers can share it."""
    whole = make_sigmas(model.levels, scheduler, steps, 1.0, sampler_name)
    clean = return_with_leftover_noise == "disable"
    sigmas = cut_sigmas(whole, start_at_step, end_at_step, clean)
    guidance = Guidance(positive, negative, cfg)
    noisy = add_noise == "enable"
    return sample_latent(
        context, model, latent_image, guidance, sampler_name, sigmas, noise_seed, add_noise=noisy
    )


@dataclass(frozen=True, slots=True, eq=False)
class Guidance:
    """What a sampler is guided by."""

    positive: list[list[Any]]
    negative: list[list[Any]]
    cfg: float


def sample_latent(
    context: NodeContext,
    model: DiffusionModel,
    latent: dict[str, Any],
    guidance: Guidance,
    sampler: str,
    sigmas: Tensor,
    seed: int,
    *,
    add_noise: bool = True,
) -> dict[str, Any]:
    """Sample a LATENT: unscaled on the CPU on both ends, in the model's scale on its device between."""
    form = model.family.latent_format
    samples = fit_channels(latent["samples"], form.channels)
    noise = (
        initial_noise(samples, seed, latent.get("batch_index")) if add_noise else torch.zeros_like(samples)
    )
    predict = model.predictor(context.residency)
    device = context.residency.device

    def on_step(info: StepInfo) -> None:
        context.progress(info.step + 1, info.total)

    result = sample(
        predict,
        levels=model.levels,
        parametrization=model.family.parametrization,
        positive=from_link(guidance.positive, model.levels),
        negative=from_link(guidance.negative, model.levels),
        cfg=guidance.cfg,
        latent=form.to_model(samples.to(device)),
        noise=noise.to(device),
        sigmas=sigmas,
        sampler=sampler,
        seed=seed,
        mask=latent.get("noise_mask"),
        callback=on_step,
    )
    return {**latent, "samples": form.from_model(result).float().cpu()}


def fit_channels(samples: Tensor, channels: int) -> Tensor:
    """An empty latent, which any model may be given, with the channels that this one wants."""
    if samples.shape[1] == channels or torch.count_nonzero(samples):
        return samples
    return samples.new_zeros((samples.shape[0], channels, *samples.shape[2:]))
