"""Sampling by ComfyUI's names gives what our nodes give, and asks the functions that packs put there."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from comfykit.compat import border


@pytest.mark.parametrize("sampler", ["euler", "ddim", "euler_cfg_pp", "dpm_fast", "uni_pc", "dpmpp_2m_sde"])
def test_a_pack_samples_as_our_nodes_do(bench: Any, sampler: str) -> None:
    assert torch.equal(bench.pack(sampler=sampler), bench.engine(sampler=sampler))


@pytest.mark.parametrize("sampler", ["euler", "ddim"])
def test_a_mask_counts_alike(bench: Any, sampler: str) -> None:
    mask = torch.zeros(1, 4, 4)
    mask[:, :2] = 1
    assert torch.equal(bench.pack(sampler=sampler, mask=mask), bench.engine(sampler=sampler, mask=mask))


def test_functions_that_change_nothing_leave_the_picture_as_it_is(bench: Any) -> None:
    """A model that a pack changed goes ComfyUI's way through our sampling, to the same numbers."""
    seen: list[str] = []

    def attend(q: Tensor, k: Tensor, v: Tensor, options: dict[str, Any]) -> Tensor:
        seen.append("replaced")
        split = [x.reshape(*x.shape[:2], options["n_heads"], -1).transpose(1, 2) for x in (q, k, v)]
        return F.scaled_dot_product_attention(*split).transpose(1, 2).flatten(2)

    def noted(what: str, found: Any) -> Any:
        seen.append(what)
        return found

    model = bench.model.clone()
    model.set_model_sampler_pre_cfg_function(lambda args: noted("before", args["conds_out"]))
    model.set_model_sampler_cfg_function(
        lambda args: noted("cfg", args["uncond"] + (args["cond"] - args["uncond"]) * args["cond_scale"])
    )
    model.set_model_sampler_post_cfg_function(lambda args: noted("after", args["denoised"]))
    model.set_model_unet_function_wrapper(
        lambda apply, args: noted("wrapper", apply(args["input"], args["timestep"], **args["c"]))
    )
    model.set_model_attn1_patch(lambda q, k, v, options: noted("attn1", (q, k, v)))
    model.set_model_attn1_output_patch(lambda n, options: noted("output", n))
    model.set_model_attn2_replace(attend, "input", 1)
    model.set_model_input_block_patch(lambda h, options: noted("input block", h))
    model.set_model_output_block_patch(lambda h, skip, options: noted("output block", (h, skip)))
    model.add_wrapper_with_key("diffusion_model", "mine", lambda run, *args: noted("network", run(*args)))
    model.add_wrapper_with_key("outer_sample", "mine", lambda run, *args: noted("outer", run(*args)))

    found = bench.engine(border.to_engine(model))

    torch.testing.assert_close(found, bench.engine(), rtol=1e-5, atol=1e-3)
    assert set(seen) == {
        "before", "cfg", "after", "wrapper", "attn1", "output", "replaced", "input block", "output block",
        "network", "outer",
    }  # fmt: skip
    assert seen.count("outer") == 1
    assert seen.count("wrapper") == 2, "both sides share a call"


def test_patches_are_told_where_they_are(bench: Any) -> None:
    told: list[dict[str, Any]] = []

    def note(n: Tensor, options: dict[str, Any]) -> Tensor:
        told.append(options)
        return n

    model = bench.model.clone()
    model.set_model_attn2_output_patch(note)
    bench.pack(model, steps=1)

    first = told[0]
    assert first["block"] == ("input", 1)
    assert sorted(first["cond_or_uncond"]) == [0, 1]
    assert first["original_shape"] == [2, 4, 4, 4]
    assert len(first["sample_sigmas"]) == 2
    assert float(first["sigmas"][0]) == pytest.approx(float(first["sample_sigmas"][0]))
    assert {one["block"][0] for one in told} == {"input", "middle", "output"}


def test_what_a_pack_changes_changes_the_picture(bench: Any) -> None:
    model = bench.model.clone()
    model.set_model_sampler_post_cfg_function(lambda args: args["denoised"] * 0.5)
    assert not torch.equal(bench.engine(border.to_engine(model)), bench.engine())
    assert torch.equal(bench.engine(border.to_engine(bench.model)), bench.engine()), (
        "the original is as it was"
    )


def test_changes_of_packs_and_of_our_nodes_add_up(bench: Any) -> None:
    from dataclasses import replace

    model = bench.model.clone()
    model.set_model_sampler_post_cfg_function(lambda args: args["denoised"] * 2.0)
    ours = border.to_engine(model)
    ours = replace(ours, rules=ours.rules.then(lambda guided, inputs: guided * 0.5))

    torch.testing.assert_close(bench.engine(ours), bench.engine())
    again = border.to_pack(ours)
    assert len(again.model_options["sampler_post_cfg_function"]) == 1
    torch.testing.assert_close(bench.pack(again), bench.engine())


def test_a_replaced_function_of_a_module_is_called(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import comfy.samplers

    original, calls = comfy.samplers.sampling_function, []

    def mine(*args: Any, **kwargs: Any) -> Tensor:
        calls.append(kwargs)
        return original(*args, **kwargs)

    monkeypatch.setattr(comfy.samplers, "sampling_function", mine)
    bench.pack()
    assert len(calls) == 2


def test_a_guider_of_a_packs_guides_our_sampler(bench: Any) -> None:
    import comfy.samplers

    class Halfway(comfy.samplers.CFGGuider):  # type: ignore[misc,name-defined,unused-ignore]
        def predict_noise(
            self, x: Tensor, timestep: Tensor, model_options: Any = None, seed: Any = None
        ) -> Tensor:
            sides = [self.conds["negative"], self.conds["positive"]]
            negative, positive = comfy.samplers.calc_cond_batch(
                self.inner_model, sides, x, timestep, model_options
            )
            return negative + (positive - negative) * self.cfg

    guider = Halfway(bench.model)
    guider.set_conds(bench.positive, bench.negative)
    guider.set_cfg(5.0)
    crossed = border.to_engine(guider)
    torch.testing.assert_close(
        bench.engine(crossed.model, guider=crossed), bench.engine(), rtol=1e-5, atol=1e-3
    )
    assert border.to_pack(crossed) is guider


def test_a_sampler_of_a_packs_runs_in_our_nodes(bench: Any) -> None:
    import comfy.samplers
    from comfy.k_diffusion.sampling import to_d

    def mine(model: Any, x: Tensor, sigmas: Tensor, extra_args: Any, callback: Any, disable: Any) -> Tensor:
        ones = x.new_ones([len(x)])
        assert model.inner_model.inner_model.model_sampling.sigma_max > 14
        for i in range(len(sigmas) - 1):
            denoised = model(x, sigmas[i] * ones, **extra_args)
            callback({"x": x, "i": i, "sigma": sigmas[i], "sigma_hat": sigmas[i], "denoised": denoised})
            x = x + to_d(x, sigmas[i], denoised) * (sigmas[i + 1] - sigmas[i])
        return x

    spec = border.to_engine(comfy.samplers.KSAMPLER(mine))
    torch.testing.assert_close(bench.engine(sampler=spec), bench.engine(), rtol=1e-5, atol=1e-3)


def test_our_samplers_cross_the_border_and_come_back(bench: Any) -> None:
    from comfykit.sampling.samplers import find_sampler

    there = border.to_pack(find_sampler("ddim"))
    back = border.to_engine(there)
    assert back.host is None
    assert back.fresh_mask_noise
    assert torch.equal(bench.engine(sampler=back), bench.engine(sampler="ddim"))


def test_names_that_packs_add_are_known_to_our_nodes(bench: Any) -> None:
    import comfy.samplers

    from comfykit.compat import pack_names
    from comfykit.nodes.builtin import builtin_registry
    from comfykit.sampling import samplers as ours
    from comfykit.sampling import schedulers

    sampling = comfy.samplers.k_diffusion_sampling
    sampling.sample_mine = sampling.sample_euler
    comfy.samplers.KSampler.SAMPLERS.append("mine")
    comfy.samplers.SCHEDULER_HANDLERS["mine"] = comfy.samplers.SchedulerHandler(
        comfy.samplers.normal_scheduler
    )
    comfy.samplers.SCHEDULER_NAMES.append("mine")
    try:
        assert pack_names.take_names()
        assert torch.equal(bench.engine(sampler="mine"), bench.engine())
        levels = bench.checkpoint.model.levels
        assert torch.equal(
            schedulers.make_sigmas(levels, "mine", 4), schedulers.make_sigmas(levels, "normal", 4)
        )
        entry = next(one for one in builtin_registry() if one.name == "KSampler")
        assert "mine" not in entry.inputs["sampler_name"].choices
        wider = pack_names.with_names(entry)
        assert "mine" in wider.inputs["sampler_name"].choices
        assert "mine" in wider.inputs["scheduler"].choices
    finally:
        del sampling.sample_mine
        comfy.samplers.KSampler.SAMPLERS.remove("mine")
        del comfy.samplers.SCHEDULER_HANDLERS["mine"]
        comfy.samplers.SCHEDULER_NAMES.remove("mine")
        ours._SAMPLERS.pop("mine", None)
        schedulers._SCHEDULERS.pop("mine", None)
