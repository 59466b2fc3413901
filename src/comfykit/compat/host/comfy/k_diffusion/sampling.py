"""`comfy.k_diffusion.sampling`: our samplers as functions (model, x, sigmas, ...).

`model(x, sigma, **extra_args)` predicts x0, `callback` gets a dict for each step. Every sampler of ours is
here as `sample_<name>`. Packs add theirs by setting an attribute `sample_<name>` of this module.
"""

from __future__ import annotations

import inspect
import math
import sys
from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor

from comfykit.compat import absent
from comfykit.compat.host.comfy.k_diffusion import utils
from comfykit.errors import UsageError
from comfykit.sampling.denoiser import StepInfo
from comfykit.sampling.level_schedules import (
    exponential_sigmas,
    karras_sigmas,
    laplace_sigmas,
    polyexponential_sigmas,
    vp_sigmas,
)
from comfykit.sampling.noise import BrownianNoise, StepNoise
from comfykit.sampling.samplers import SAMPLERS, SamplerSpec
from comfykit.sampling.samplers.lms import multistep_weights
from comfykit.sampling.samplers.steps import ancestral_levels

Function = Callable[..., Tensor]

# Options of k-diffusion's samplers that ours do not have, with the values at which they change nothing.
_INERT = {"s_churn": 0.0, "s_tmin": None, "s_tmax": None, "s_noise": 1.0, "eta": None, "cpu": None}
# Samplers that k-diffusion gives two levels in place of a schedule.
_BETWEEN = ("dpm_fast", "dpm_adaptive")


def append_zero(x: Tensor) -> Tensor:
    """The levels, and 0."""
    return torch.cat([x, x.new_zeros(1)])


def append_dims(x: Tensor, target_dims: int) -> Tensor:
    """The tensor with axes of length 1 at its end."""
    return utils.append_dims(x, target_dims)


def get_sigmas_karras(
    n: int, sigma_min: float, sigma_max: float, rho: float = 7.0, device: Any = "cpu"
) -> Tensor:
    """Levels even in sigma^(1 / rho), and 0."""
    return karras_sigmas(n, float(sigma_max), float(sigma_min), rho).to(device)


def get_sigmas_exponential(n: int, sigma_min: float, sigma_max: float, device: Any = "cpu") -> Tensor:
    """Levels even in log-sigma, and 0."""
    return exponential_sigmas(n, float(sigma_max), float(sigma_min)).to(device)


def get_sigmas_polyexponential(
    n: int, sigma_min: float, sigma_max: float, rho: float = 1.0, device: Any = "cpu"
) -> Tensor:
    """Levels whose logarithms are a polynomial of the step, and 0."""
    return polyexponential_sigmas(n, float(sigma_max), float(sigma_min), rho).to(device)


def get_sigmas_vp(
    n: int, beta_d: float = 19.9, beta_min: float = 0.1, eps_s: float = 1e-3, device: Any = "cpu"
) -> Tensor:
    """Levels of the VP schedule at even times, and 0."""
    return vp_sigmas(n, beta_d, beta_min, eps_s).to(device)


def get_sigmas_laplace(
    n: int, sigma_min: float, sigma_max: float, mu: float = 0.0, beta: float = 0.5, device: Any = "cpu"
) -> Tensor:
    """Levels whose logarithms are Laplace-distributed, and 0."""
    return laplace_sigmas(n, float(sigma_max), float(sigma_min), mu, beta).to(device)


def to_d(x: Tensor, sigma: Any, denoised: Tensor) -> Tensor:
    """The slope of the ODE."""
    return (x - denoised) / append_dims(torch.as_tensor(sigma, device=x.device), x.ndim)


def get_ancestral_step(sigma_from: Any, sigma_to: Any, eta: float = 1.0) -> tuple[Any, Any]:
    """The level to step down to, and the noise to add there."""
    if not eta:
        return sigma_to, 0.0
    down, up = ancestral_levels(float(sigma_from), float(sigma_to), eta)
    if isinstance(sigma_to, Tensor):
        return sigma_to.new_tensor(down), sigma_to.new_tensor(up)
    return down, up


def sigma_to_half_log_snr(sigma: Tensor, model_sampling: Any) -> Tensor:
    """The time of exponential integrators."""
    from comfykit.compat.host.comfy.model_sampling import CONST

    return sigma.logit().neg() if isinstance(model_sampling, CONST) else sigma.log().neg()


def half_log_snr_to_sigma(half_log_snr: Tensor, model_sampling: Any) -> Tensor:
    """Its inverse."""
    from comfykit.compat.host.comfy.model_sampling import CONST

    return half_log_snr.neg().sigmoid() if isinstance(model_sampling, CONST) else half_log_snr.neg().exp()


def offset_first_sigma_for_snr(sigmas: Tensor, model_sampling: Any, percent_offset: float = 1e-4) -> Tensor:
    """A flow's first level moved from 1, where there is no such time."""
    from comfykit.compat.host.comfy.model_sampling import CONST

    if len(sigmas) <= 1 or not isinstance(model_sampling, CONST) or sigmas[0] < 1:
        return sigmas
    moved = sigmas.clone()
    levels: Any = model_sampling
    moved[0] = levels.percent_to_sigma(percent_offset)
    return moved


def ei_h_phi_1(h: Tensor) -> Tensor:
    """h phi_1(h) of exponential integrators."""
    return torch.expm1(h)


def ei_h_phi_2(h: Tensor) -> Tensor:
    """h phi_2(h) of exponential integrators."""
    return (torch.expm1(h) - h) / h


def linear_multistep_coeff(order: int, t: Any, i: int, j: int) -> float:
    """The weight of the slope of `j` steps ago in step `i`."""
    known = [float(t[i - k]) for k in range(order)]
    return float(multistep_weights(known, float(t[i + 1]))[j])


def default_noise_sampler(x: Tensor, seed: int | None = None) -> Callable[[Any, Any], Tensor]:
    """Independent noise for each step; with a seed from a generator of its own on x's device."""
    generator = None if seed is None else torch.Generator(device=x.device).manual_seed(seed)

    def draw(sigma: Any, sigma_next: Any) -> Tensor:
        return torch.randn(x.shape, dtype=x.dtype, device=x.device, generator=generator)

    return draw


class BrownianTreeNoiseSampler:
    """Noise as increments of a Brownian motion; `transform` makes times of levels."""

    def __init__(
        self,
        x: Tensor,
        sigma_min: Any,
        sigma_max: Any,
        seed: Any = None,
        transform: Callable[[Any], Any] = lambda level: level,
        cpu: bool = False,
    ) -> None:
        self.transform = transform
        low, high = (float(transform(torch.as_tensor(level))) for level in (sigma_min, sigma_max))
        drawn = int(torch.randint(0, 2**63 - 1, []).item()) if seed is None else seed
        seeds = list(drawn) if isinstance(drawn, list | tuple) else [drawn]
        rows = [x] if len(seeds) == 1 else list(torch.split(x, 1))
        self._noise = [
            BrownianNoise(row, min(low, high), max(low, high), int(one), cpu)
            for row, one in zip(rows, seeds, strict=True)
        ]

    def __call__(self, sigma: Any, sigma_next: Any) -> Tensor:
        """Noise of variance 1 for a step."""
        t, t_next = (float(self.transform(torch.as_tensor(level))) for level in (sigma, sigma_next))
        return torch.cat([one(t, t_next) for one in self._noise])


class PIDStepSizeController:
    """Widens and narrows steps by their errors; as `comfykit.sampling.samplers.step_size`."""

    def __init__(
        self,
        h: Any,
        pcoeff: float,
        icoeff: float,
        dcoeff: float,
        order: float = 1,
        accept_safety: float = 0.81,
        eps: float = 1e-8,
    ) -> None:
        from comfykit.sampling.samplers.step_size import StepSize

        self._size = StepSize.of_order(order, float(h), pcoeff, icoeff, dcoeff, accept_safety)

    @property
    def h(self) -> float:
        """The next step to try."""
        return self._size.h

    def propose_step(self, error: Any) -> bool:
        """Whether a step with that error is good enough."""
        return self._size.accepts(float(error))


class _Denoiser:
    """A model as samplers of packs call it, as our samplers do."""

    def __init__(self, model: Any, extra_args: dict[str, Any]) -> None:
        self._model, self._extra = model, extra_args

    def __call__(self, x: Tensor, sigma: Tensor) -> Tensor:
        return cast(Tensor, self._model(x, sigma, **self._extra))

    def both(self, x: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
        from comfykit.compat.host.comfy.model_patcher import set_model_options_post_cfg_function

        negative: list[Tensor] = []

        def note(args: dict[str, Any]) -> Tensor:
            negative[:] = [args["uncond_denoised"]]
            return cast(Tensor, args["denoised"])

        options = set_model_options_post_cfg_function({**self._extra.get("model_options", {})}, note, True)
        guided: Tensor = self._model(x, sigma, **{**self._extra, "model_options": options})
        return guided, negative[0]


def _levels_of(model: Any) -> Any:
    from comfykit.compat.host.comfy.model_sampling import engine_parts

    found = model
    for name in ("inner_model", "inner_model", "model_sampling"):
        found = getattr(found, name, None)
    return None if found is None else engine_parts(found)[0]


def as_function(spec: SamplerSpec, name: str = "sample") -> Function:
    """A sampler of ours as a function such as packs call."""
    own = inspect.signature(spec.run).parameters

    def run(
        model: Any,
        x: Tensor,
        sigmas: Tensor,
        extra_args: dict[str, Any] | None = None,
        callback: Callable[[dict[str, Any]], Any] | None = None,
        disable: bool | None = None,
        noise_sampler: Callable[[Any, Any], Tensor] | None = None,
        **options: Any,
    ) -> Tensor:
        given = {} if extra_args is None else extra_args
        levels = _levels_of(model)
        ready = spec if levels is None else spec.for_model(levels)
        taken = {key: value for key, value in options.items() if key in own}
        for key, value in options.items():
            if key not in own and value not in (_INERT.get(key), None, math.inf) and key != "s_noise":
                raise UsageError(
                    f"our sampler {name} has no option {key!r}, which a pack gives it as {value!r}"
                )
        steps = sigmas.detach().float().cpu()
        noise: StepNoise = (
            ready.noise(x, steps, given.get("seed") or 0) if noise_sampler is None else _asking(noise_sampler)
        )

        def told(info: StepInfo) -> None:
            if callback is not None:
                level = torch.tensor(info.sigma)
                callback(
                    {
                        "x": info.x,
                        "i": info.step,
                        "sigma": level,
                        "sigma_hat": level,
                        "denoised": info.denoised,
                    }
                )

        return ready.with_options(**taken).run(_Denoiser(model, given), x, steps, noise=noise, callback=told)

    run.__name__ = name
    run.spec = spec  # type: ignore[attr-defined]
    return run


def _asking(noise_sampler: Callable[[Any, Any], Tensor]) -> StepNoise:
    def noise(sigma: float, sigma_next: float) -> Tensor:
        return noise_sampler(torch.tensor(sigma), torch.tensor(sigma_next))

    return noise


def _between(function: Function, name: str) -> Function:
    """The same between two levels."""

    def run(
        model: Any,
        x: Tensor,
        sigma_min: Any,
        sigma_max: Any,
        *args: Any,
        n: int | None = None,
        extra_args: dict[str, Any] | None = None,
        callback: Callable[[dict[str, Any]], Any] | None = None,
        disable: bool | None = None,
        **options: Any,
    ) -> Tensor:
        steps = (args[0] if args else n) if name == "sample_dpm_fast" else 1
        sigmas = torch.linspace(float(sigma_max), float(sigma_min), int(steps or 1) + 1)
        given = args[1] if len(args) > 1 else extra_args
        return function(model, x, sigmas, given, callback, disable, **options)

    run.__name__ = name
    return run


_BY_SCHEDULE = {name: as_function(spec, f"sample_{name}") for name, spec in SAMPLERS.items()}
_OWN = {
    f"sample_{name}": _between(function, f"sample_{name}") if name in _BETWEEN else function
    for name, function in _BY_SCHEDULE.items()
}
globals().update(_OWN)
globals().update(absent.classes(__name__, "DPMSolver"))


def by_schedule(name: str) -> Function:
    """The sampler of a name as a function of a schedule; one that a pack put here goes first."""
    found: Function | None = getattr(sys.modules[__name__], f"sample_{name}", None)
    if name in _BY_SCHEDULE and found is _OWN[f"sample_{name}"]:
        return _BY_SCHEDULE[name]
    if found is None:
        raise UsageError(f"there is no sampler {name!r}", sampler=name)
    return found
