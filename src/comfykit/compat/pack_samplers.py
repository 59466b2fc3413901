"""Our samplers and guiders as packs have them, and theirs for our nodes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

from torch import Tensor

from comfykit.compat.host.comfy.k_diffusion.sampling import as_function
from comfykit.compat.host.comfy.model_patcher import ModelPatcher
from comfykit.compat.host.comfy.samplers import KSAMPLER, CFGGuider, Sampler
from comfykit.compat.pack_model import PackHost, sample_hosted
from comfykit.compat.pack_run import PackRun, per_row
from comfykit.families import guiders
from comfykit.sampling.samplers import SamplerSpec

Options = dict[str, Any]


def ksampler_of(spec: SamplerSpec) -> Sampler:
    """A sampler of ours as packs see it."""
    if isinstance(spec.host, PackSampler):
        return cast(Sampler, spec.host.given)
    return KSAMPLER(as_function(spec), {}, {"random": True} if spec.fresh_mask_noise else {})


def spec_of(sampler: Any) -> SamplerSpec:
    """A sampler as packs have it, for our nodes; one of ours comes back as it was."""
    spec: SamplerSpec | None = getattr(getattr(sampler, "sampler_function", None), "spec", None)
    if type(sampler) is KSAMPLER and spec is not None:
        random = bool(sampler.inpaint_options.get("random"))
        return replace(
            spec.with_options(**sampler.extra_options), fresh_mask_noise=random or spec.fresh_mask_noise
        )
    return SamplerSpec(_never, host=PackSampler(sampler))


def _never(*args: Any, **kwargs: Any) -> Tensor:
    raise TypeError("a sampler of a pack's is run by its host")


class PackSampler:
    """Samples with a sampler of a pack's."""

    def __init__(self, given: Any) -> None:
        self.given = given

    def __call__(self, *args: Any, **kwargs: Any) -> guiders.Sampled:
        """As `guiders.sample`."""
        return sample_hosted(*args, **kwargs)


class EngineGuider(CFGGuider):
    """A guider of ours as packs see it."""

    def __init__(self, guider: guiders.Guider, model_patcher: Any) -> None:
        super().__init__(model_patcher)
        self.engine = guider
        self.cfg = getattr(guider, "cfg", 1.0)
        self._denoiser: Any = None

    def inner_sample(self, *args: Any, **kwargs: Any) -> Tensor:
        """A run, for which the denoiser is made anew."""
        self._denoiser = None
        return super().inner_sample(*args, **kwargs)

    def predict_noise(
        self, x: Tensor, timestep: Tensor, model_options: Options | None = None, seed: int | None = None
    ) -> Tensor:
        """Our guider's prediction, each call of the network by way of the pack's functions."""
        run: PackRun = self.inner_model.run()
        run.options = model_options or {}
        if self._denoiser is None:
            self._denoiser = self.engine.denoiser(run.dispatch, run.scene_for(x))
        return cast(Tensor, self._denoiser(x, per_row(timestep, x)))


class PackGuider:
    """A guider of a pack's for our nodes."""

    def __init__(self, given: CFGGuider) -> None:
        self.given = given

    @property
    def model(self) -> Any:
        """The model, which is sampled in the pack's way."""
        model = self.given.model_patcher.engine_model()
        return replace(model, host=model.host or PackHost(self.given.model_patcher))

    def denoiser(self, predict: Any, scene: Any) -> Any:
        """Nothing of ours: its host runs it."""
        raise TypeError("a guider of a pack's is run by its host")


def guider_of(guider: Any) -> CFGGuider:
    """A guider of ours as packs see it, ready to sample; one of a pack's as it was."""
    if isinstance(guider, PackGuider):
        return guider.given
    patcher = ModelPatcher.of(guider.model)
    if isinstance(guider, guiders.CFGGuider):
        made = CFGGuider(patcher)
        made.set_conds(guider.positive, guider.negative)
        made.set_cfg(guider.cfg)
        return made
    if isinstance(guider, guiders.BasicGuider):
        made = CFGGuider(patcher)
        made.inner_set_conds({"positive": guider.conditioning})
        return made
    return EngineGuider(guider, patcher)
