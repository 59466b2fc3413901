"""The KSampler nodes."""

from __future__ import annotations

from typing import Annotated, Any

from torch import Tensor

from comfykit.engine.define import boolean, combo, integer, node, number
from comfykit.families.guiders import CFGGuider, Guider, fit_channels, sample
from comfykit.nodes.context import NodeContext
from comfykit.nodes.step_previews import StepPreviews
from comfykit.nodes.types import (
    Conditioning,
    Context,
    GuiderInput,
    Latent,
    Model,
    NoiseInput,
    Sampler,
    Sigmas,
)
from comfykit.sampling.denoiser import StepInfo
from comfykit.sampling.latent_noise import Noise, NoNoise, RandomNoise
from comfykit.sampling.sample import cut_sigmas
from comfykit.sampling.samplers import SAMPLERS, SamplerSpec, find_sampler
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
    guider = CFGGuider(model, positive, negative, cfg)
    noise = RandomNoise(seed)
    return sample_latent(context, guider, latent_image, find_sampler(sampler_name), sigmas, noise)[0]


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
    guider = CFGGuider(model, positive, negative, cfg)
    noise = RandomNoise(noise_seed) if add_noise == "enable" else NoNoise(noise_seed)
    return sample_latent(context, guider, latent_image, find_sampler(sampler_name), sigmas, noise)[0]


@node(
    "SamplerCustom",
    title="SamplerCustom",
    category="sampling/custom_sampling",
    output_names=("output", "denoised_output"),
)
def sampler_custom(
    context: Context,
    model: Model,
    add_noise: Annotated[bool, boolean(True)],
    noise_seed: Seed,
    cfg: Cfg,
    positive: Conditioning,
    negative: Conditioning,
    sampler: Sampler,
    sigmas: Sigmas,
    latent_image: Latent,
) -> tuple[Latent, Latent]:
    """Sample with a sampler and a schedule of one's own.

    The second output is the last prediction of the clean latent.
    """
    guider = CFGGuider(model, positive, negative, cfg)
    noise = RandomNoise(noise_seed) if add_noise else NoNoise(noise_seed)
    return sample_latent(context, guider, latent_image, sampler, sigmas, noise)


@node(
    "SamplerCustomAdvanced",
    title="SamplerCustomAdvanced",
    category="sampling/custom_sampling",
    output_names=("output", "denoised_output"),
)
def sampler_custom_advanced(
    context: Context,
    noise: NoiseInput,
    guider: GuiderInput,
    sampler: Sampler,
    sigmas: Sigmas,
    latent_image: Latent,
) -> tuple[Latent, Latent]:
    """Sample with noise, guider, sampler and schedule of one's own.

    The second output is the last prediction of the clean latent.
    """
    return sample_latent(context, guider, latent_image, sampler, sigmas, noise)


def sample_latent(
    context: NodeContext,
    guider: Guider,
    latent: dict[str, Any],
    sampler: SamplerSpec,
    sigmas: Tensor,
    noise: Noise,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Sample a LATENT: the result, and the last prediction of the clean one."""
    fitted = {
        **latent,
        "samples": fit_channels(latent["samples"], guider.model.family.latent_format.channels),
    }

    previews = StepPreviews(context, guider.model)

    def on_step(info: StepInfo) -> None:
        context.progress(info.step + 1, info.total)
        previews(info)

    found = sample(
        guider,
        context.residency,
        samples=fitted["samples"],
        noise=noise.generate_noise(fitted),
        sampler=sampler,
        sigmas=sigmas,
        seed=noise.seed,
        mask=latent.get("noise_mask"),
        callback=on_step,
    )
    return {**fitted, "samples": found.samples}, {**fitted, "samples": found.denoised}
