"""The samplers by name; one file per family, each sampler a function (see `spec.Sampler`)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from comfykit.errors import UsageError
from comfykit.sampling.noise import brownian_noise, brownian_noise_on_device, randn_noise
from comfykit.sampling.samplers.dpmpp import dpmpp_2m, dpmpp_2m_sde, dpmpp_sde
from comfykit.sampling.samplers.euler import euler, euler_ancestral
from comfykit.sampling.samplers.karras import dpm_2, dpm_2_ancestral, heun
from comfykit.sampling.samplers.lms import lms
from comfykit.sampling.samplers.spec import Sampler, SamplerSpec
from comfykit.sampling.samplers.unipc import uni_pc

__all__ = ["SAMPLERS", "Sampler", "SamplerSpec", "find_sampler"]

SAMPLERS: Mapping[str, SamplerSpec] = MappingProxyType(
    {
        "euler": SamplerSpec(euler),
        "euler_ancestral": SamplerSpec(euler_ancestral, randn_noise),
        "heun": SamplerSpec(heun),
        "dpm_2": SamplerSpec(dpm_2),
        "dpm_2_ancestral": SamplerSpec(dpm_2_ancestral, randn_noise),
        "lms": SamplerSpec(lms),
        "dpmpp_sde": SamplerSpec(dpmpp_sde, brownian_noise),
        "dpmpp_sde_gpu": SamplerSpec(dpmpp_sde, brownian_noise_on_device),
        "dpmpp_2m": SamplerSpec(dpmpp_2m),
        "dpmpp_2m_sde": SamplerSpec(dpmpp_2m_sde, brownian_noise),
        "dpmpp_2m_sde_gpu": SamplerSpec(dpmpp_2m_sde, brownian_noise_on_device),
        "ddim": SamplerSpec(euler, fresh_mask_noise=True),
        "uni_pc": SamplerSpec(uni_pc),
        "uni_pc_bh2": SamplerSpec(uni_pc).with_options(variant="bh2"),
    }
)


def find_sampler(name: str) -> SamplerSpec:
    """The sampler of that name; raises `UsageError` when there is none."""
    if name not in SAMPLERS:
        raise UsageError(
            f"there is no sampler {name!r}",
            hint=f"the samplers are {', '.join(SAMPLERS)}",
            sampler=name,
        )
    return SAMPLERS[name]
