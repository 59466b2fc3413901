"""Nodes that choose a sampler and its options."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from comfykit.engine.define import combo, integer, node, number
from comfykit.nodes.sampling import SamplerName
from comfykit.nodes.types import Boolean, Model, Sampler
from comfykit.sampling.samplers import SAMPLERS, SamplerSpec
from comfykit.sampling.samplers.er_sde import NoiseScale, power_scale, sde_5

CATEGORY = "sampling/custom_sampling/samplers"

Eta = Annotated[float, number(1.0, 0.0, 100.0, round=False)]
SNoise = Annotated[float, number(1.0, 0.0, 100.0, round=False)]
NoiseDevice = Annotated[str, combo(("gpu", "cpu"))]
Gain = Annotated[float, number(0.0, 0.0, 100.0, round=False)]
Percent = Annotated[float, number(0.0, 0.0, 1.0, 0.001)]


@node("KSamplerSelect", title="KSamplerSelect", category=CATEGORY)
def ksampler_select(sampler_name: SamplerName) -> Sampler:
    """A sampler by its name, with the options that it has in KSampler."""
    return SAMPLERS[sampler_name]


@node("SamplerEulerAncestral", title="SamplerEulerAncestral", category=CATEGORY)
def sampler_euler_ancestral(eta: Eta, s_noise: SNoise) -> Sampler:
    """`euler_ancestral`: `eta` is how much fresh noise replaces the old, `s_noise` scales it."""
    return SAMPLERS["euler_ancestral"].with_options(eta=eta, s_noise=s_noise)


@node("SamplerEulerAncestralCFGPP", title="SamplerEulerAncestralCFG++", category=CATEGORY)
def sampler_euler_ancestral_cfg_pp(
    eta: Annotated[float, number(1.0, 0.0, 1.0, round=False)],
    s_noise: Annotated[float, number(1.0, 0.0, 10.0, round=False)],
) -> Sampler:
    """`euler_ancestral_cfg_pp`: its guidance works with a low cfg, around 1."""
    return SAMPLERS["euler_ancestral_cfg_pp"].with_options(eta=eta, s_noise=s_noise)


@node("SamplerLMS", title="SamplerLMS", category=CATEGORY)
def sampler_lms(order: Annotated[int, integer(4, 1, 100)]) -> Sampler:
    """`lms`: `order` is how many of the last steps it looks at."""
    return SAMPLERS["lms"].with_options(order=order)


@node("SamplerDPMPP_2S_Ancestral", title="SamplerDPMPP_2S_Ancestral", category=CATEGORY)
def sampler_dpmpp_2s_ancestral(eta: Eta, s_noise: SNoise) -> Sampler:
    """`dpmpp_2s_ancestral`: `eta` is how much fresh noise replaces the old, `s_noise` scales it."""
    return SAMPLERS["dpmpp_2s_ancestral"].with_options(eta=eta, s_noise=s_noise)


@node("SamplerDPMPP_SDE", title="SamplerDPMPP_SDE", category=CATEGORY)
def sampler_dpmpp_sde(
    eta: Eta,
    s_noise: SNoise,
    r: Annotated[float, number(0.5, 0.0, 100.0, round=False)],
    noise_device: NoiseDevice,
) -> Sampler:
    """`dpmpp_sde`: `r` is the part of a step at which it looks a second time.

    Noise from the CPU is the same on every machine.
    """
    return _on_device("dpmpp_sde", noise_device).with_options(eta=eta, s_noise=s_noise, r=r)


@node("SamplerDPMPP_2M_SDE", title="SamplerDPMPP_2M_SDE", category=CATEGORY)
def sampler_dpmpp_2m_sde(
    solver_type: Annotated[str, combo(("midpoint", "heun"))],
    eta: Eta,
    s_noise: SNoise,
    noise_device: NoiseDevice,
) -> Sampler:
    """`dpmpp_2m_sde`, or with "heun" `dpmpp_2m_sde_heun`. Noise from the CPU is the same on every machine."""
    sampler = _on_device("dpmpp_2m_sde", noise_device)
    return sampler.with_options(eta=eta, s_noise=s_noise, solver_type=solver_type)


@node("SamplerDPMPP_3M_SDE", title="SamplerDPMPP_3M_SDE", category=CATEGORY)
def sampler_dpmpp_3m_sde(eta: Eta, s_noise: SNoise, noise_device: NoiseDevice) -> Sampler:
    """`dpmpp_3m_sde`. Noise from the CPU is the same on every machine."""
    return _on_device("dpmpp_3m_sde", noise_device).with_options(eta=eta, s_noise=s_noise)


@node("SamplerDPMAdaptative", title="SamplerDPMAdaptative", category=CATEGORY)
def sampler_dpm_adaptive(
    order: Annotated[int, integer(3, 2, 3)],
    rtol: Annotated[float, number(0.05, 0.0, 100.0, round=False)],
    atol: Annotated[float, number(0.0078, 0.0, 100.0, round=False)],
    h_init: Annotated[float, number(0.05, 0.0, 100.0, round=False)],
    pcoeff: Gain,
    icoeff: Annotated[float, number(1.0, 0.0, 100.0, round=False)],
    dcoeff: Gain,
    accept_safety: Annotated[float, number(0.81, 0.0, 100.0, round=False)],
    eta: Gain,
    s_noise: SNoise,
) -> Sampler:
    """`dpm_adaptive`: of a schedule it takes the first and the last level and chooses its steps.

    `rtol` and `atol` say how exact a step must be, `h_init` how wide the first one is; the coefficients steer
    how widths follow from errors.
    """
    return SAMPLERS["dpm_adaptive"].with_options(
        order=order,
        rtol=rtol,
        atol=atol,
        h_init=h_init,
        pcoeff=pcoeff,
        icoeff=icoeff,
        dcoeff=dcoeff,
        accept_safety=accept_safety,
        eta=eta,
        s_noise=s_noise,
    )


@node("SamplerER_SDE", title="SamplerER_SDE", category=CATEGORY)
def sampler_er_sde(
    solver_type: Annotated[str, combo(("ER-SDE", "Reverse-time SDE", "ODE"))],
    max_stage: Annotated[int, integer(3, 1, 3)],
    eta: Eta,
    s_noise: SNoise,
) -> Sampler:
    """`er_sde`: `max_stage` is its highest order, `solver_type` the noise that it adds.

    `eta` scales the noise of "Reverse-time SDE" and matters to no other; "ODE" adds none.
    """
    scales: dict[str, NoiseScale] = {
        "ER-SDE": sde_5,
        "Reverse-time SDE": power_scale(eta),
        "ODE": power_scale(0.0),
    }
    return SAMPLERS["er_sde"].with_options(
        noise_scale=scales[solver_type], max_stage=max_stage, s_noise=s_noise
    )


@node("SamplerSASolver", title="SamplerSASolver", category=CATEGORY)
def sampler_sa_solver(
    model: Model,
    eta: Annotated[float, number(1.0, 0.0, 10.0, round=False)],
    sde_start_percent: Annotated[float, number(0.2, 0.0, 1.0, 0.001)],
    sde_end_percent: Annotated[float, number(0.8, 0.0, 1.0, 0.001)],
    s_noise: SNoise,
    predictor_order: Annotated[int, integer(3, 1, 6)],
    corrector_order: Annotated[int, integer(4, 0, 6)],
    use_pece: Boolean,
    simple_order_2: Boolean,
) -> Sampler:
    """`sa_solver`: noise is added between two parts of the way, as much as `eta` says.

    `use_pece` evaluates the model again after each correction, `simple_order_2` is a variant of order 2 for
    few steps, a `corrector_order` of 0 leaves correction out.
    """
    sampler = SAMPLERS["sa_solver"].with_options(
        eta=eta,
        s_noise=s_noise,
        predictor_order=predictor_order,
        corrector_order=corrector_order,
        pece=use_pece,
        simple_order_2=simple_order_2,
        sde_from=model.levels.percent_to_sigma(sde_start_percent),
        sde_to=model.levels.percent_to_sigma(sde_end_percent),
    )
    return replace(sampler, model_options=None)


def _on_device(name: str, noise_device: str) -> SamplerSpec:
    """An SDE sampler whose noise is drawn on the CPU or where the latent is."""
    return SAMPLERS[name if noise_device == "cpu" else f"{name}_gpu"]
