"""`comfy.samplers`: runs as packs make, watch and replace them.

Packs put functions of their own in the place of those here (`comfy.samplers.sampling_function = mine`), so
each step of a run calls the next by its name in this module. What they compute is in `comfykit.sampling`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor

from comfykit.compat import placing
from comfykit.compat.host.comfy import sampler_helpers
from comfykit.compat.host.comfy.k_diffusion import sampling as k_diffusion_sampling
from comfykit.compat.host.comfy.model_sampling import engine_parts
from comfykit.compat.host.comfy.patcher_extension import WrapperExecutor, WrappersMP, get_all_wrappers
from comfykit.compat.pack_conds import (
    apply_empty_x_to_equal_area,
    calculate_start_end_timesteps,
    can_concat_cond,
    cond_cat,
    create_cond_with_same_area_if_none,
    encode_model_conds,
    get_area_and_mult,
    resolve_areas_and_cond_masks,
    resolve_areas_and_cond_masks_multidim,
)
from comfykit.compat.pack_run import FURTHER, PackRun, per_row
from comfykit.compat.pack_schedules import (
    SCHEDULER_HANDLERS,
    SCHEDULER_NAMES,
    SchedulerHandler,
    beta_scheduler,
    ddim_scheduler,
    kl_optimal_scheduler,
    levels_of,
    linear_quadratic_schedule,
    normal_scheduler,
    simple_scheduler,
)
from comfykit.sampling import schedulers as ours
from comfykit.sampling.conditioning import fit_mask
from comfykit.sampling.guidance import GuidanceInputs
from comfykit.sampling.inpaint import MaskedDenoiser, fresh_noise
from comfykit.sampling.samplers import SAMPLERS

Options = dict[str, Any]
Conds = list[dict[str, Any]] | None

__all__ = [
    "KSAMPLER",
    "SCHEDULER_HANDLERS",
    "SCHEDULER_NAMES",
    "CFGGuider",
    "KSampler",
    "SchedulerHandler",
    "apply_empty_x_to_equal_area",
    "beta_scheduler",
    "calculate_start_end_timesteps",
    "can_concat_cond",
    "cond_cat",
    "create_cond_with_same_area_if_none",
    "ddim_scheduler",
    "encode_model_conds",
    "get_area_and_mult",
    "k_diffusion_sampling",
    "kl_optimal_scheduler",
    "linear_quadratic_schedule",
    "normal_scheduler",
    "resolve_areas_and_cond_masks",
    "resolve_areas_and_cond_masks_multidim",
    "sampling_function",
    "simple_scheduler",
]

# What a step of a run calls, one after the other


def calc_cond_batch(
    model: Any, conds: list[Conds], x_in: Tensor, timestep: Tensor, model_options: Options
) -> list[Tensor]:
    """Predictions of x0 for sides of conditionings; zeros for a side that is None."""
    executor = WrapperExecutor.new_executor(
        _calc_cond_batch, get_all_wrappers(WrappersMP.CALC_COND_BATCH, model_options, is_model_options=True)
    )
    return cast(list[Tensor], executor.execute(model, conds, x_in, timestep, model_options))


def _calc_cond_batch(
    model: Any, conds: list[Conds], x_in: Tensor, timestep: Tensor, model_options: Options
) -> list[Tensor]:
    run: PackRun = model.run()
    change = run.model.rules.change(run.memory)
    return run.evaluate_sides(conds, x_in, per_row(timestep, x_in), model_options, change)


def cfg_function(
    model: Any,
    cond_pred: Tensor,
    uncond_pred: Tensor,
    cond_scale: float,
    x: Tensor,
    timestep: Tensor,
    model_options: Options | None = None,
    cond: Conds = None,
    uncond: Conds = None,
) -> Tensor:
    """Guidance: both predictions become one, by the functions of packs and the rules of our nodes."""
    options = model_options or {}
    run: PackRun = model.run()
    rules = run.model.rules
    inputs = GuidanceInputs(
        positive=cond_pred,
        negative=uncond_pred,
        x=x,
        sigma=timestep,
        cfg=cond_scale,
        evaluate=partial(_evaluate, run, (cond, uncond, *run.further), x, timestep, options),
        has_negative=bool(uncond) and _two_sided(cond_scale, options, run),
        further=run.further_predictions,
        memory=run.memory,
    )
    for before in rules.before:
        inputs = before(inputs)
    own = options.get("sampler_cfg_function")
    if own is None:
        found = rules.combine(inputs)
    else:
        told = {
            "cond": x - inputs.positive,
            "uncond": x - inputs.negative,
            "cond_scale": cond_scale,
            "timestep": timestep,
            "input": x,
            "sigma": timestep,
            "cond_denoised": inputs.positive,
            "uncond_denoised": inputs.negative,
            "model": model,
            "model_options": options,
            "input_cond": cond,
            "input_uncond": uncond,
        }
        found = x - own(told)
    for after in rules.after:
        found = after(found, inputs)
    for function in options.get("sampler_post_cfg_function", []):
        found = function(
            {
                "denoised": found,
                "cond": cond,
                "uncond": uncond,
                "cond_scale": cond_scale,
                "model": model,
                "uncond_denoised": inputs.negative,
                "cond_denoised": inputs.positive,
                "sigma": timestep,
                "model_options": options,
                "input": x,
            }
        )
    return found


def sampling_function(
    model: Any,
    x: Tensor,
    timestep: Tensor,
    uncond: Conds,
    cond: Conds,
    cond_scale: float,
    model_options: Options | None = None,
    seed: int | None = None,
) -> Tensor:
    """The guided prediction of x0."""
    options = model_options or {}
    run: PackRun = model.run()
    sides = [cond, uncond if _two_sided(cond_scale, options, run) else None]
    own = options.get("sampler_calc_cond_batch_function")
    if own is not None:
        told = {"conds": sides, "input": x, "sigma": timestep, "model": model, "model_options": options}
        found = own(told)
    else:
        found = calc_cond_batch(model, [*sides, *run.further], x, timestep, options)
    run.further_predictions = tuple(found[len(sides) :])
    found = found[: len(sides)]
    for function in options.get("sampler_pre_cfg_function", []):
        found = function(
            {
                "conds": sides,
                "conds_out": found,
                "cond_scale": cond_scale,
                "timestep": timestep,
                "input": x,
                "sigma": timestep,
                "model": model,
                "model_options": options,
            }
        )
    return cfg_function(
        model,
        found[0],
        found[1],
        cond_scale,
        x,
        timestep,
        model_options=options,
        cond=cond,
        uncond=sides[1],
    )


def _two_sided(cond_scale: float, options: Options, run: PackRun) -> bool:
    both = options.get("disable_cfg1_optimization", False) or run.model.rules.always_negative
    return bool(both) or not math.isclose(cond_scale, 1.0)


def _evaluate(
    run: PackRun,
    sides: Sequence[Conds],
    own_x: Tensor,
    sigma: Tensor,
    options: Options,
    side: int,
    x: Tensor | None = None,
    change: Callable[[Any], Any] | None = None,
) -> Tensor:
    """`GuidanceInputs.evaluate`: one more prediction for a side."""
    wanted = [one if number == side else None for number, one in enumerate(sides)]
    given = own_x if x is None else x
    return run.evaluate_sides(wanted, given, per_row(sigma, given), options, change)[side]


# Conditionings


def process_conds(
    model: Any,
    noise: Tensor,
    conds: dict[str, Any],
    device: Any,
    latent_image: Tensor | None = None,
    denoise_mask: Tensor | None = None,
    seed: int | None = None,
    latent_shapes: Any = None,
) -> dict[str, Any]:
    """Conditionings of all sides, ready for a run of a latent's size."""
    run: PackRun = model.run()
    run.prepare(noise, latent_image, denoise_mask, seed or 0)
    found = {name: [dict(one) for one in side or ()] for name, side in conds.items()}
    for name, side in found.items():
        resolve_areas_and_cond_masks_multidim(side, noise.shape[2:], device)
        calculate_start_end_timesteps(model, side)
        for one in side:
            if "model_conds" not in one or not one["model_conds"]:
                told = {**one, "noise": noise, "latent_image": latent_image, "denoise_mask": denoise_mask}
                one["model_conds"] = model.extra_conds(**told, seed=seed, prompt_type=name, device=device)
    for name, side in found.items():
        if name != "positive" and "positive" in found:
            found[name] = sampler_helpers.lent_controls(found["positive"], side)
    for side in found.values():
        pre_run_control(model, side)
    return found


def pre_run_control(model: Any, conds: list[dict[str, Any]]) -> None:
    """Tell ControlNets that a run begins."""
    levels = model.model_sampling
    for one in conds:
        if "control" in one:
            one["control"].pre_run(model, levels.percent_to_sigma)


# Samplers


class Sampler:
    """Something that samples; packs may make their own."""

    def sample(self, *args: Any, **kwargs: Any) -> Any:
        """From noise to a latent."""
        raise NotImplementedError

    def max_denoise(self, model_wrap: Any, sigmas: Tensor) -> bool:
        """Whether a run begins at the model's largest level, or above it."""
        largest, first = float(model_wrap.inner_model.model_sampling.sigma_max), float(sigmas[0])
        return math.isclose(largest, first, rel_tol=1e-05) or first > largest


class KSamplerX0Inpaint:
    """The guided prediction as samplers call it: with the latent outside a mask as it is known."""

    def __init__(self, model: Any, sigmas: Tensor) -> None:
        self.inner_model = model
        self.sigmas = sigmas
        self.latent_image: Any = None
        self.noise: Any = None

    def __call__(
        self,
        x: Tensor,
        sigma: Tensor,
        denoise_mask: Tensor | None = None,
        model_options: Options | None = None,
        seed: int | None = None,
    ) -> Tensor:
        """Predict x0."""
        options = model_options or {}

        def guided(x: Tensor, sigma: Tensor) -> Tensor:
            return cast(Tensor, self.inner_model(x, sigma, model_options=options, seed=seed))

        if denoise_mask is None:
            return guided(x, sigma)
        base = self.inner_model.inner_model
        parametrization = engine_parts(base.model_sampling)[1]
        own = options.get("denoise_mask_function")
        mask_rule = base.run().model.mask_rule
        rule: Callable[[Tensor, Tensor], Tensor] | None = None
        if own is not None:

            def by_pack(sigma: Tensor, mask: Tensor) -> Tensor:
                return cast(Tensor, own(sigma, mask, extra_options={"model": base, "sigmas": self.sigmas}))

            rule = by_pack
        elif mask_rule is not None:
            rule = partial(mask_rule, sigmas=self.sigmas, levels=base.run().model.levels)
        masked = MaskedDenoiser(guided, denoise_mask, self.latent_image, self.noise, parametrization, rule)
        return masked(x, sigma)


class KSAMPLER(Sampler):
    """A sampler that is a function (model, x, sigmas, extra_args, callback, disable, **options)."""

    def __init__(
        self,
        sampler_function: Callable[..., Any],
        extra_options: Options | None = None,
        inpaint_options: Options | None = None,
    ) -> None:
        self.sampler_function = sampler_function
        self.extra_options = {} if extra_options is None else extra_options
        self.inpaint_options = {} if inpaint_options is None else inpaint_options

    def sample(
        self,
        model_wrap: Any,
        sigmas: Tensor,
        extra_args: Options,
        callback: Callable[..., Any] | None,
        noise: Tensor,
        latent_image: Tensor | None = None,
        denoise_mask: Tensor | None = None,
        disable_pbar: bool = False,
    ) -> Tensor:
        """From noise to a latent, both in the model's scale."""
        extra_args["denoise_mask"] = denoise_mask
        model_k = KSamplerX0Inpaint(model_wrap, sigmas)
        model_k.latent_image = latent_image
        seed = extra_args.get("seed") or 0
        model_k.noise = fresh_noise(noise, seed) if self.inpaint_options.get("random") else noise
        levels = model_wrap.inner_model.model_sampling
        started = torch.zeros_like(noise) if latent_image is None else latent_image
        first = sigmas[0].to(noise.device)
        x = levels.noise_scaling(first, noise, started, self.max_denoise(model_wrap, sigmas))

        def told(step: dict[str, Any]) -> None:
            if callback is not None:
                callback(step["i"], step["denoised"], step["x"], len(sigmas) - 1)

        found = self.sampler_function(
            model_k,
            x,
            sigmas,
            extra_args=extra_args,
            callback=told,
            disable=disable_pbar,
            **self.extra_options,
        )
        return cast(Tensor, levels.inverse_noise_scaling(sigmas[-1].to(noise.device), found))


def ksampler(
    sampler_name: str, extra_options: Options | None = None, inpaint_options: Options | None = None
) -> KSAMPLER:
    """A sampler by the name of its function in `comfy.k_diffusion.sampling`."""
    function = k_diffusion_sampling.by_schedule(sampler_name)
    return KSAMPLER(function, extra_options, inpaint_options)


def sampler_object(name: str) -> KSAMPLER:
    """A sampler as KSampler has it, by its name."""
    if name in SAMPLERS and SAMPLERS[name].fresh_mask_noise:
        return ksampler("euler", inpaint_options={"random": True})
    return ksampler(name)


# Guiders


class CFGGuider:
    """Guides by a positive and a negative side; packs subclass it and change `predict_noise`."""

    def __init__(self, model_patcher: Any) -> None:
        self.model_patcher = model_patcher
        self.model_options = model_patcher.model_options
        self.original_conds: dict[str, Any] = {}
        self.cfg = 1.0
        self.conds: dict[str, Any] = {}
        self.inner_model: Any = None
        self.loaded_models: Any = []

    def set_conds(self, positive: Any, negative: Any) -> None:
        """What to guide to, and away from."""
        self.inner_set_conds({"positive": positive, "negative": negative})

    def set_cfg(self, cfg: float) -> None:
        """How strongly."""
        self.cfg = cfg

    def inner_set_conds(self, conds: dict[str, Any]) -> None:
        """Sides by name."""
        core = getattr(self.model_patcher, "core", None)
        further = {} if core is None else {f"{FURTHER}{i:03}": one for i, one in enumerate(core.further)}
        for name, one in {**conds, **further}.items():
            self.original_conds[name] = sampler_helpers.convert_cond(one)

    def __call__(self, *args: Any, **kwargs: Any) -> Tensor:
        """The guided prediction, inside of wrappers."""
        options = kwargs.get("model_options", args[2] if len(args) > 2 else {})
        executor = WrapperExecutor.new_class_executor(
            self.predict_noise,
            self,
            get_all_wrappers(WrappersMP.PREDICT_NOISE, options, is_model_options=True),
        )
        return cast(Tensor, executor.execute(*args, **kwargs))

    def predict_noise(
        self, x: Tensor, timestep: Tensor, model_options: Options | None = None, seed: int | None = None
    ) -> Tensor:
        """The guided prediction."""
        return sampling_function(
            self.inner_model,
            x,
            timestep,
            self.conds.get("negative"),
            self.conds.get("positive"),
            self.cfg,
            model_options=model_options or {},
            seed=seed,
        )

    def inner_sample(
        self,
        noise: Tensor,
        latent_image: Tensor,
        device: Any,
        sampler: Any,
        sigmas: Tensor,
        denoise_mask: Tensor | None,
        callback: Any,
        disable_pbar: bool,
        seed: int | None,
        **further: Any,
    ) -> Tensor:
        """A run of the model that is in place."""
        latent = self.inner_model.process_latent_in(latent_image)
        self.conds = process_conds(self.inner_model, noise, self.conds, device, latent, denoise_mask, seed)
        self.inner_model.run().take_further(self.conds)
        options = {**self.model_options}
        told = {**options.get("transformer_options", {}), "sample_sigmas": sigmas}
        options["transformer_options"] = told
        extra_args: Options = {"model_options": options, "seed": seed}
        executor = WrapperExecutor.new_class_executor(
            sampler.sample,
            sampler,
            get_all_wrappers(WrappersMP.SAMPLER_SAMPLE, options, is_model_options=True),
        )
        found = executor.execute(
            self, sigmas, extra_args, callback, noise, latent, denoise_mask, disable_pbar
        )
        return cast(Tensor, self.inner_model.process_latent_out(found.to(torch.float32)))

    def outer_sample(
        self,
        noise: Tensor,
        latent_image: Tensor,
        sampler: Any,
        sigmas: Tensor,
        denoise_mask: Tensor | None = None,
        callback: Any = None,
        disable_pbar: bool = False,
        seed: int | None = None,
        **further: Any,
    ) -> Tensor:
        """A run, with the model put in place before it and away after."""
        self.inner_model, self.conds, self.loaded_models = sampler_helpers.prepare_sampling(
            self.model_patcher, noise.shape, self.conds, self.model_options
        )
        run = self.inner_model.new_run(self.model_patcher)
        device = placing.residency().device
        latent_image, noise = latent_image.to(device), noise.to(device)
        mask = None if denoise_mask is None else fit_mask(denoise_mask, latent_image)
        sigmas = sigmas.detach().float().cpu()
        base = self.inner_model
        try:
            self.model_patcher.pre_run()
            with base.running(run):
                return self.inner_sample(
                    noise, latent_image, device, sampler, sigmas, mask, callback, disable_pbar, seed
                )
        finally:
            self.model_patcher.cleanup()
            sampler_helpers.cleanup_models(self.conds, self.loaded_models)
            self.inner_model = None

    @torch.no_grad()
    def sample(
        self,
        noise: Tensor,
        latent_image: Tensor,
        sampler: Any,
        sigmas: Tensor,
        denoise_mask: Tensor | None = None,
        callback: Any = None,
        disable_pbar: bool = False,
        seed: int | None = None,
    ) -> Tensor:
        """From a latent of the VAE's scale to one."""
        if sigmas.shape[-1] < 2:
            return latent_image
        self.conds = {name: [dict(one) for one in side] for name, side in self.original_conds.items()}
        before = self.model_options
        self.model_options = sampler_helpers.with_wrappers_of(self.model_patcher, before)
        try:
            executor = WrapperExecutor.new_class_executor(
                self.outer_sample,
                self,
                get_all_wrappers(WrappersMP.OUTER_SAMPLE, self.model_options, is_model_options=True),
            )
            found = executor.execute(
                noise, latent_image, sampler, sigmas, denoise_mask, callback, disable_pbar, seed
            )
        finally:
            self.model_options = before
            self.conds = {}
        return cast(Tensor, found)


def sample(
    model: Any,
    noise: Tensor,
    positive: Any,
    negative: Any,
    cfg: float,
    device: Any,
    sampler: Any,
    sigmas: Tensor,
    model_options: Options | None = None,
    latent_image: Tensor | None = None,
    denoise_mask: Tensor | None = None,
    callback: Any = None,
    disable_pbar: bool = False,
    seed: int | None = None,
) -> Tensor:
    """A run by a positive and a negative side."""
    guider = CFGGuider(model)
    guider.set_conds(positive, negative)
    guider.set_cfg(cfg)
    if model_options:
        guider.model_options = model_options
    latent = torch.zeros_like(noise) if latent_image is None else latent_image
    return guider.sample(noise, latent, sampler, sigmas, denoise_mask, callback, disable_pbar, seed)


# Schedulers


SAMPLER_NAMES = list(SAMPLERS)
KSAMPLER_NAMES = [name for name in SAMPLER_NAMES if name not in ("ddim", "uni_pc", "uni_pc_bh2")]


def calculate_sigmas(model_sampling: Any, scheduler_name: str, steps: int) -> Tensor:
    """The levels that a scheduler visits."""
    handler = SCHEDULER_HANDLERS.get(scheduler_name)
    if handler is None:
        return ours.make_sigmas(levels_of(model_sampling), scheduler_name, steps)
    if handler.use_ms:
        return handler.handler(model_sampling, steps)
    low, high = float(model_sampling.sigma_min), float(model_sampling.sigma_max)
    return handler.handler(n=steps, sigma_min=low, sigma_max=high)


class KSampler:
    """A model with a sampler and a schedule. Packs add names to the lists."""

    SAMPLERS = SAMPLER_NAMES
    SCHEDULERS = SCHEDULER_NAMES
    DISCARD_PENULTIMATE_SIGMA_SAMPLERS = set(ours.DROP_SECOND_LAST)  # noqa: RUF012

    def __init__(
        self,
        model: Any,
        steps: int,
        device: Any,
        sampler: str | None = None,
        scheduler: str | None = None,
        denoise: float | None = None,
        model_options: Options | None = None,
    ) -> None:
        self.model = model
        self.device = device
        self.scheduler = scheduler if scheduler in self.SCHEDULERS else self.SCHEDULERS[0]
        self.sampler = sampler if sampler in self.SAMPLERS else self.SAMPLERS[0]
        self.sigmas: Tensor = torch.empty(0)
        self.set_steps(steps, denoise)
        self.denoise = denoise
        self.model_options = {} if model_options is None else model_options

    def calculate_sigmas(self, steps: int) -> Tensor:
        """The levels of a run."""
        drops = self.sampler in self.DISCARD_PENULTIMATE_SIGMA_SAMPLERS
        levels = self.model.get_model_object("model_sampling")
        found = calculate_sigmas(levels, self.scheduler, steps + 1 if drops else steps)
        return torch.cat([found[:-2], found[-1:]]) if drops else found

    def set_steps(self, steps: int, denoise: float | None = None) -> None:
        """Make the schedule; the end of a longer one for `denoise` below 1."""
        self.steps = steps
        if denoise is None or denoise > 0.9999:
            self.sigmas = self.calculate_sigmas(steps)
        elif denoise <= 0.0:
            self.sigmas = torch.empty(0)
        else:
            self.sigmas = self.calculate_sigmas(int(steps / denoise))[-(steps + 1) :]

    def sample(
        self,
        noise: Tensor,
        positive: Any,
        negative: Any,
        cfg: float,
        latent_image: Tensor | None = None,
        start_step: int | None = None,
        last_step: int | None = None,
        force_full_denoise: bool = False,
        denoise_mask: Tensor | None = None,
        sigmas: Tensor | None = None,
        callback: Any = None,
        disable_pbar: bool = False,
        seed: int | None = None,
    ) -> Tensor:
        """A run, or the steps from `start_step` to `last_step` of it."""
        levels = self.sigmas if sigmas is None else sigmas
        if last_step is not None and last_step < len(levels) - 1:
            levels = levels[: last_step + 1].clone()
            if force_full_denoise:
                levels[-1] = 0
        if start_step is not None:
            if start_step >= len(levels) - 1:
                return torch.zeros_like(noise) if latent_image is None else latent_image
            levels = levels[start_step:]
        return sample(
            self.model,
            noise,
            positive,
            negative,
            cfg,
            self.device,
            sampler_object(self.sampler),
            levels,
            self.model_options,
            latent_image=latent_image,
            denoise_mask=denoise_mask,
            callback=callback,
            disable_pbar=disable_pbar,
            seed=seed,
        )
