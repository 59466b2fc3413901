"""The samplers by name; one file per family, each sampler a function (see `spec.Sampler`)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from comfykit.errors import UsageError
from comfykit.sampling.noise import brownian_noise, brownian_noise_on_device, randn_noise
from comfykit.sampling.noise_levels import NoiseLevels
from comfykit.sampling.samplers import cfg_pp
from comfykit.sampling.samplers.ancestral import ddpm, lcm
from comfykit.sampling.samplers.deis import deis
from comfykit.sampling.samplers.dpm_solver import dpm_adaptive, dpm_fast
from comfykit.sampling.samplers.dpmpp import dpmpp_2m, dpmpp_2s_ancestral
from comfykit.sampling.samplers.dpmpp_sde import dpmpp_2m_sde, dpmpp_3m_sde, dpmpp_sde
from comfykit.sampling.samplers.er_sde import er_sde
from comfykit.sampling.samplers.euler import euler, euler_ancestral
from comfykit.sampling.samplers.gradient_estimation import gradient_estimation, gradient_estimation_cfg_pp
from comfykit.sampling.samplers.heunpp import heunpp2
from comfykit.sampling.samplers.ipndm import ipndm, ipndm_v
from comfykit.sampling.samplers.karras import dpm_2, dpm_2_ancestral, heun
from comfykit.sampling.samplers.lms import lms
from comfykit.sampling.samplers.res_multistep import res_multistep, res_multistep_cfg_pp
from comfykit.sampling.samplers.sa_solver import sa_solver
from comfykit.sampling.samplers.seeds import seeds_2, seeds_3
from comfykit.sampling.samplers.spec import Sampler, SamplerSpec
from comfykit.sampling.samplers.unipc import uni_pc

__all__ = ["SAMPLERS", "Sampler", "SamplerSpec", "add_sampler", "find_sampler"]

SDE_PERCENTS = (0.2, 0.8)
"""The part of the way in which sa_solver is stochastic."""


def sa_solver_range(levels: NoiseLevels) -> dict[str, Any]:
    """The levels between which sa_solver is stochastic."""
    start, end = (levels.percent_to_sigma(percent) for percent in SDE_PERCENTS)
    return {"sde_from": start, "sde_to": end}


_SA_SOLVER = SamplerSpec(sa_solver, randn_noise, model_options=sa_solver_range)

_SAMPLERS: dict[str, SamplerSpec] = {
    "euler": SamplerSpec(euler),
    "euler_cfg_pp": SamplerSpec(cfg_pp.euler_cfg_pp, needs_negative=True),
    "euler_ancestral": SamplerSpec(euler_ancestral, randn_noise),
    "euler_ancestral_cfg_pp": SamplerSpec(cfg_pp.euler_ancestral_cfg_pp, randn_noise, needs_negative=True),
    "heun": SamplerSpec(heun),
    "heunpp2": SamplerSpec(heunpp2),
    "dpm_2": SamplerSpec(dpm_2),
    "dpm_2_ancestral": SamplerSpec(dpm_2_ancestral, randn_noise),
    "lms": SamplerSpec(lms),
    "dpm_fast": SamplerSpec(dpm_fast, randn_noise),
    "dpm_adaptive": SamplerSpec(dpm_adaptive, randn_noise),
    "dpmpp_2s_ancestral": SamplerSpec(dpmpp_2s_ancestral, randn_noise),
    "dpmpp_2s_ancestral_cfg_pp": SamplerSpec(
        cfg_pp.dpmpp_2s_ancestral_cfg_pp, randn_noise, needs_negative=True
    ),
    "dpmpp_sde": SamplerSpec(dpmpp_sde, brownian_noise),
    "dpmpp_sde_gpu": SamplerSpec(dpmpp_sde, brownian_noise_on_device),
    "dpmpp_2m": SamplerSpec(dpmpp_2m),
    "dpmpp_2m_cfg_pp": SamplerSpec(cfg_pp.dpmpp_2m_cfg_pp, needs_negative=True),
    "dpmpp_2m_sde": SamplerSpec(dpmpp_2m_sde, brownian_noise),
    "dpmpp_2m_sde_gpu": SamplerSpec(dpmpp_2m_sde, brownian_noise_on_device),
    "dpmpp_2m_sde_heun": SamplerSpec(dpmpp_2m_sde, brownian_noise).with_options(solver_type="heun"),
    "dpmpp_2m_sde_heun_gpu": SamplerSpec(dpmpp_2m_sde, brownian_noise_on_device).with_options(
        solver_type="heun"
    ),
    "dpmpp_3m_sde": SamplerSpec(dpmpp_3m_sde, brownian_noise),
    "dpmpp_3m_sde_gpu": SamplerSpec(dpmpp_3m_sde, brownian_noise_on_device),
    "ddpm": SamplerSpec(ddpm, randn_noise),
    "lcm": SamplerSpec(lcm, randn_noise),
    "ipndm": SamplerSpec(ipndm),
    "ipndm_v": SamplerSpec(ipndm_v),
    "deis": SamplerSpec(deis),
    "res_multistep": SamplerSpec(res_multistep, randn_noise),
    "res_multistep_cfg_pp": SamplerSpec(res_multistep_cfg_pp, randn_noise, needs_negative=True),
    "res_multistep_ancestral": SamplerSpec(res_multistep, randn_noise).with_options(eta=1.0),
    "res_multistep_ancestral_cfg_pp": SamplerSpec(
        res_multistep_cfg_pp, randn_noise, needs_negative=True
    ).with_options(eta=1.0),
    "gradient_estimation": SamplerSpec(gradient_estimation),
    "gradient_estimation_cfg_pp": SamplerSpec(gradient_estimation_cfg_pp, needs_negative=True),
    "er_sde": SamplerSpec(er_sde, randn_noise),
    "seeds_2": SamplerSpec(seeds_2, randn_noise),
    "seeds_3": SamplerSpec(seeds_3, randn_noise),
    "sa_solver": _SA_SOLVER,
    "sa_solver_pece": _SA_SOLVER.with_options(pece=True),
    "ddim": SamplerSpec(euler, fresh_mask_noise=True),
    "uni_pc": SamplerSpec(uni_pc),
    "uni_pc_bh2": SamplerSpec(uni_pc).with_options(variant="bh2"),
}
SAMPLERS: Mapping[str, SamplerSpec] = MappingProxyType(_SAMPLERS)


def add_sampler(name: str, sampler: SamplerSpec) -> None:
    """Make a sampler known by a name, in this process."""
    _SAMPLERS[name] = sampler


def find_sampler(name: str) -> SamplerSpec:
    """The sampler of that name; raises `UsageError` when there is none."""
    if name not in SAMPLERS:
        raise UsageError(
            f"there is no sampler {name!r}",
            hint=f"the samplers are {', '.join(SAMPLERS)}",
            sampler=name,
        )
    return SAMPLERS[name]
