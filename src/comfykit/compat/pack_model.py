"""A model that a pack changed, in the hands of our nodes: it samples in ComfyUI's order of calls.

`DiffusionModel.host` is a `PackHost`, `guiders.sample` calls it. It carries the pack's changes through our
nodes too: what they change in their copies is kept, and a pack that gets the model again finds both.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from torch import Tensor

from comfykit.compat import placing
from comfykit.families.guiders import Guider, Sampled
from comfykit.memory import Residency
from comfykit.sampling.denoiser import StepInfo
from comfykit.sampling.samplers import SamplerSpec

if TYPE_CHECKING:
    from comfykit.compat.host.comfy.model_patcher import ModelPatcher

_CARRIED = (
    "model_options",
    "object_patches",
    "attachments",
    "callbacks",
    "wrappers",
    "injections",
    "additional_models",
    "patches",
    "patches_uuid",
    "hook_patches",
    "forced_hooks",
)


def sample_hosted(
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
    """Sample with a guider, a model or a sampler of a pack's, in ComfyUI's order of calls."""
    from comfykit.compat import pack_samplers

    hosted = pack_samplers.guider_of(guider)
    last: list[Tensor] = []

    def on_step(step: int, denoised: Tensor, x: Tensor, total: int) -> None:
        last[:] = [denoised]
        sigma = float(sigmas[min(step, len(sigmas) - 1)])
        callback(StepInfo(step, total, sigma, x, denoised))

    with placing.using(residency):
        found = hosted.sample(
            noise,
            samples,
            pack_samplers.ksampler_of(sampler),
            sigmas,
            denoise_mask=mask,
            callback=on_step,
            disable_pbar=True,
            seed=seed,
        )
    form = hosted.model_patcher.model.process_latent_out
    denoised = form(last[0]) if last else found
    return Sampled(found.float().cpu(), denoised.float().cpu())


class PackHost:
    """Samples with a model as a pack's `ModelPatcher` has it."""

    def __init__(self, patcher: ModelPatcher) -> None:
        self.patcher = patcher

    def restore(self, made: ModelPatcher) -> None:
        """Give a new patcher of the model what the pack's has beside the weights."""
        source = self.patcher.clone()
        if type(source) is not type(made):
            made.__class__ = type(source)
            made.__dict__.update(
                {name: value for name, value in source.__dict__.items() if name not in made.__dict__}
            )
        levels = made.object_patches.get("model_sampling")
        for name in _CARRIED:
            setattr(made, name, getattr(source, name))
        if levels is not None and not self._has_levels(made):
            made.object_patches["model_sampling"] = levels

    def _has_levels(self, made: ModelPatcher) -> bool:
        """Whether levels and parametrization are still those that the pack gave."""
        from comfykit.compat.host.comfy.model_sampling import engine_parts

        own = made.object_patches.get("model_sampling")
        return own is not None and made.core is not None and engine_parts(own)[0] is made.core.levels

    __call__ = staticmethod(sample_hosted)  # as `guiders.sample`
