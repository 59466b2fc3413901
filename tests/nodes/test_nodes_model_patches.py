"""Patches of models, alone and together, on a tiny checkpoint of random weights."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from comfykit.families.components import DiffusionModel
from comfykit.families.guiders import CFGGuider, Guider, sample
from comfykit.families.load import load_checkpoint
from comfykit.memory import Residency
from comfykit.models.hooks import NO_HOOKS
from comfykit.nodes import guidance, guiders
from comfykit.nodes import model_patches as patches
from comfykit.nodes.attention_experiments import (
    clip_attention_multiply,
    unet_cross_attention_multiply,
    unet_self_attention_multiply,
    unet_temporal_attention_multiply,
)
from comfykit.sampling.denoiser import Evaluation, Predict
from comfykit.sampling.latent_noise import RandomNoise
from comfykit.sampling.samplers import find_sampler
from comfykit.sampling.schedulers import make_sigmas
from random_weights import CHECKPOINT

EMPTY = torch.zeros(1, 4, 16, 16)


@pytest.fixture(scope="module")
def checkpoint(random_home: Path) -> Any:
    return load_checkpoint(random_home / "models" / "checkpoints" / CHECKPOINT)


@pytest.fixture(scope="module")
def model(checkpoint: Any) -> DiffusionModel:
    found: DiffusionModel = checkpoint.model
    return found


@pytest.fixture(scope="module")
def residency() -> Residency:
    return Residency("cpu", "fp32")


@pytest.fixture(autouse=True)
def _inference() -> object:
    with torch.inference_mode():
        yield


def prompt(number: int, **options: Any) -> list[list[Any]]:
    generator = torch.Generator().manual_seed(number)
    return [[torch.randn(1, 77, 768, generator=generator), options]]


def width(model: DiffusionModel, conditioning: list[list[Any]]) -> list[list[Any]]:
    return [
        [embedding[..., : model.network.config.context_dim], options] for embedding, options in conditioning
    ]


POSITIVE, NEGATIVE, EMPTY_PROMPT = prompt(1), prompt(2), prompt(3)


def run(guider: Guider, residency: Residency, **changes: Any) -> Tensor:
    given: dict[str, Any] = {
        "samples": EMPTY,
        "noise": RandomNoise(3).generate_noise({"samples": EMPTY}),
        "sampler": find_sampler("euler"),
        "sigmas": make_sigmas(guider.model.levels, "normal", 2),
        "seed": 3,
    }
    return sample(guider, residency, **{**given, **changes}).samples


def guided(model: DiffusionModel, cfg: float = 5.0, **changes: Any) -> CFGGuider:
    sides = {"positive": POSITIVE, "negative": NEGATIVE, **changes}
    return CFGGuider(model, width(model, sides["positive"]), width(model, sides["negative"]), cfg)


PATCHES = {
    "FreeU": partial(patches.free_u, b1=1.1, b2=1.2, s1=0.9, s2=0.2),
    "FreeU_V2": partial(patches.free_u_v2, b1=1.3, b2=1.4, s1=0.9, s2=0.2),
    "HyperTile": partial(patches.hyper_tile, tile_size=64, swap_size=1, max_depth=0, scale_depth=False),
    "PatchModelAddDownscale": partial(
        patches.patch_model_add_downscale,
        block_number=3,
        downscale_factor=2.0,
        start_percent=0.0,
        end_percent=0.4,
        downscale_after_skip=True,
        downscale_method="bicubic",
        upscale_method="bislerp",
    ),
    "TomePatchModel": partial(patches.tome_patch_model, ratio=0.3),
    "PerturbedAttentionGuidance": partial(patches.perturbed_attention_guidance, scale=3.0),
    "SelfAttentionGuidance": partial(patches.self_attention_guidance, scale=0.75, blur_sigma=2.0),
    "RescaleCFG": partial(guidance.rescale_cfg, multiplier=0.7),
    "RenormCFG": partial(guidance.renorm_cfg, cfg_trunc=100.0, renorm_cfg=1.0),
    "CFGNorm": partial(guidance.cfg_norm, strength=1.0),
    "APG": partial(guidance.apg, eta=0.5, norm_threshold=5.0, momentum=-0.5),
    "TCFG": guidance.tcfg,
    "CFGZeroStar": guidance.cfg_zero_star,
    "Mahiro": guidance.mahiro,
    "FreSca": partial(guidance.fresca, scale_low=1.0, scale_high=1.25, freq_cutoff=4),
    "Epsilon Scaling": partial(guidance.epsilon_scaling, scaling_factor=1.1),
    "LatentApplyOperationCFG": partial(
        guidance.latent_apply_operation_cfg, operation=lambda latent: latent.flip(-1)
    ),
    "VideoLinearCFGGuidance": partial(guidance.video_linear_cfg_guidance, min_cfg=1.0),
    "VideoTriangleCFGGuidance": partial(guidance.video_triangle_cfg_guidance, min_cfg=1.0),
    "UNetSelfAttentionMultiply": partial(unet_self_attention_multiply, q=1.5, k=1.0, v=1.0, out=1.0),
    "UNetCrossAttentionMultiply": partial(unet_cross_attention_multiply, q=1.0, k=1.0, v=1.0, out=1.5),
}

# Guidance that at cfg 1, where there is nothing to guide away from, leaves the positive prediction.
NOTHING_AT_CFG_ONE = (
    *("RescaleCFG", "RenormCFG", "CFGNorm", "APG", "TCFG", "CFGZeroStar", "Mahiro", "FreSca"),
    *("VideoLinearCFGGuidance", "VideoTriangleCFGGuidance"),
)


@pytest.fixture(scope="module")
def plain(model: DiffusionModel, residency: Residency) -> Tensor:
    with torch.inference_mode():
        return run(guided(model), residency)


@pytest.mark.parametrize("name", PATCHES)
def test_a_patch_changes_the_picture_and_not_the_model(
    model: DiffusionModel, residency: Residency, plain: Tensor, name: str
) -> None:
    changed = PATCHES[name](model)
    found = run(guided(changed), residency)
    assert bool(found.isfinite().all())
    assert not torch.allclose(found, plain, rtol=1e-3, atol=1e-3)
    assert changed.network is model.network
    assert torch.equal(run(guided(model), residency), plain)


@pytest.mark.parametrize("name", NOTHING_AT_CFG_ONE)
def test_guidance_at_cfg_one_is_none(model: DiffusionModel, residency: Residency, name: str) -> None:
    found = run(guided(PATCHES[name](model), cfg=1.0), residency)
    torch.testing.assert_close(found, run(guided(model, cfg=1.0), residency), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "change",
    [
        partial(patches.perturbed_attention_guidance, scale=0.0),
        partial(patches.self_attention_guidance, scale=0.0, blur_sigma=2.0),
        partial(patches.tome_patch_model, ratio=0.0),
        partial(patches.hyper_tile, tile_size=256, swap_size=1, max_depth=3, scale_depth=True),
        partial(guidance.rescale_cfg, multiplier=0.0),
        partial(guidance.epsilon_scaling, scaling_factor=1.0),
        partial(unet_self_attention_multiply, q=1.0, k=1.0, v=1.0, out=1.0),
        partial(
            unet_temporal_attention_multiply,
            self_structural=1.0,
            self_temporal=3.0,
            cross_structural=1.0,
            cross_temporal=2.0,
        ),
    ],
)
def test_a_patch_of_no_strength_changes_nothing(
    model: DiffusionModel, residency: Residency, plain: Tensor, change: Any
) -> None:
    torch.testing.assert_close(run(guided(change(model)), residency), plain, rtol=1e-4, atol=1e-4)


def test_rules_work_one_after_the_other(model: DiffusionModel, residency: Residency) -> None:
    one, two = PATCHES["Epsilon Scaling"], PATCHES["CFGNorm"]
    first, second = run(guided(two(one(model))), residency), run(guided(one(two(model))), residency)
    assert not torch.allclose(first, second, rtol=1e-3, atol=1e-3)


def test_many_patches_at_once(model: DiffusionModel, residency: Residency) -> None:
    changed = model
    for name in (
        "FreeU_V2",
        "TomePatchModel",
        "HyperTile",
        "PatchModelAddDownscale",
        "SelfAttentionGuidance",
    ):
        changed = PATCHES[name](changed)
    changed = PATCHES["RescaleCFG"](PATCHES["PerturbedAttentionGuidance"](PATCHES["APG"](changed)))
    torch.manual_seed(0)
    found = run(guided(changed), residency)
    assert bool(found.isfinite().all())


def test_perturbed_attention_guidance_with_areas_and_masks(
    model: DiffusionModel, residency: Residency
) -> None:
    left = prompt(4, area=(16, 8, 0, 0), strength=1.0)
    mask = torch.zeros(1, 128, 128)
    mask[..., :64] = 1.0
    masked = prompt(5, mask=mask, mask_strength=1.0)
    for name in ("PerturbedAttentionGuidance", "SelfAttentionGuidance"):
        changed = PATCHES[name](model)
        both = guided(changed, positive=[*POSITIVE, *left, *masked])
        found = run(both, residency)
        assert bool(found.isfinite().all())
        assert not torch.allclose(found, run(replace(both, model=model), residency), rtol=1e-3, atol=1e-3)


class Counting:
    """Counts the rows that the network is called with, by side."""

    def __init__(self) -> None:
        self.calls: list[tuple[int, ...]] = []

    def __call__(self, predict: Predict, call: Evaluation) -> Tensor:
        self.calls.append(call.sides)
        return predict(call)


@pytest.mark.parametrize(
    ("names", "cfg", "calls"),
    [
        ((), 5.0, [(0, 1)]),
        ((), 1.0, [(0,)]),
        (("RescaleCFG", "FreeU"), 1.0, [(0,)]),
        (("PerturbedAttentionGuidance",), 5.0, [(0, 1), (0,)]),
        (("PerturbedAttentionGuidance",), 1.0, [(0,), (0,)]),
        (("SelfAttentionGuidance",), 5.0, [(0, 1), (1,)]),
        (("SelfAttentionGuidance",), 1.0, [(0, 1), (1,)]),
    ],
)
def test_what_is_evaluated_in_a_step(
    model: DiffusionModel, residency: Residency, names: tuple[str, ...], cfg: float, calls: list[Any]
) -> None:
    counting = Counting()
    changed = replace(model, wrappers=(counting,))
    for name in names:
        changed = PATCHES[name](changed)
    run(guided(changed, cfg=cfg), residency, sigmas=torch.tensor([5.0, 0.0]))
    assert counting.calls == calls


def test_wrappers_stand_around_each_other(model: DiffusionModel, residency: Residency) -> None:
    order: list[str] = []

    def named(name: str) -> Any:
        def wrapper(predict: Predict, call: Evaluation) -> Tensor:
            order.append(name)
            return predict(call)

        return wrapper

    run(
        guided(replace(model, wrappers=(named("inner"), named("outer")))),
        residency,
        sigmas=torch.tensor([5.0, 0.0]),
    )
    assert order == ["outer", "inner"]


def test_perp_neg_is_what_its_guider_does(model: DiffusionModel, residency: Residency) -> None:
    positive, negative, empty = (width(model, one) for one in (POSITIVE, NEGATIVE, EMPTY_PROMPT))
    counting = Counting()
    counted = replace(model, wrappers=(counting,))
    node = guidance.perp_neg(counted, empty, neg_scale=0.8)
    found = run(CFGGuider(node, positive, negative, 5.0), residency)
    guider = guiders.perp_neg_guider(model, positive, negative, empty, 5.0, 0.8)
    torch.testing.assert_close(found, run(guider, residency), rtol=1e-5, atol=1e-5)
    assert set(counting.calls) == {(0, 1, 2)}
    other = guiders.perp_neg_guider(model, positive, negative, negative, 5.0, 0.8)
    assert not torch.allclose(found, run(other, residency), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("style", ["regular", "nested"])
def test_dual_guidance_is_guidance_where_two_prompts_are_the_same(
    model: DiffusionModel, residency: Residency, style: str
) -> None:
    positive, negative = width(model, POSITIVE), width(model, NEGATIVE)
    same = guiders.dual_cfg_guider(model, positive, positive, negative, 3.0, 5.0, style)
    torch.testing.assert_close(run(same, residency), run(guided(model), residency), rtol=1e-4, atol=1e-4)


def test_dual_guidance_takes_both_prompts_and_the_rules_of_the_model(
    model: DiffusionModel, residency: Residency
) -> None:
    one, two, negative = (width(model, each) for each in (POSITIVE, EMPTY_PROMPT, NEGATIVE))
    regular = guiders.dual_cfg_guider(model, one, two, negative, 3.0, 5.0, "regular")
    found = run(regular, residency)
    for other in (
        guiders.dual_cfg_guider(model, two, one, negative, 3.0, 5.0, "regular"),
        guiders.dual_cfg_guider(model, one, two, negative, 3.0, 5.0, "nested"),
        guiders.dual_cfg_guider(model, one, two, negative, 2.0, 5.0, "regular"),
        replace(regular, model=PATCHES["RescaleCFG"](model)),
    ):
        assert not torch.allclose(found, run(other, residency), rtol=1e-3, atol=1e-3)


def test_attention_is_scaled_by_its_weights(
    model: DiffusionModel, residency: Residency, plain: Tensor
) -> None:
    """Queries twice as long and keys half as long are the same attention."""
    changed = unet_cross_attention_multiply(model, q=2.0, k=0.5, v=1.0, out=1.0)
    torch.testing.assert_close(run(guided(changed), residency), plain, rtol=1e-3, atol=1e-3)
    halved = unet_cross_attention_multiply(model, q=1.0, k=1.0, v=1.0, out=0.5)
    names = set(halved.patches)
    assert len(names) == len({name for name in names if ".attn2.to_out.0." in name}) + 3 * len(
        {name for name in names if name.endswith("attn2.to_q.weight")}
    )
    weight = torch.ones(2, 2)
    name = next(name for name in names if name.endswith("attn2.to_out.0.bias"))
    assert torch.equal(halved.patches.apply(name, weight), 0.5 * weight)


def test_temporal_factors_change_nothing_and_structural_ones_do(
    model: DiffusionModel, residency: Residency, plain: Tensor
) -> None:
    changed = unet_temporal_attention_multiply(model, 0.5, 1.0, 1.0, 1.0)
    assert not torch.allclose(run(guided(changed), residency), plain, rtol=1e-3, atol=1e-3)
    factors = {name: float(changed.patches.apply(name, torch.ones(1))) for name in changed.patches}
    assert {value for name, value in factors.items() if ".attn1." in name} == {0.5}
    assert {value for name, value in factors.items() if ".attn2." in name} == {1.0}


def test_a_text_encoder_s_attention_is_scaled(checkpoint: Any, residency: Residency) -> None:
    clip = checkpoint.clip
    changed = clip_attention_multiply(clip, q=1.0, k=1.0, v=2.0, out=0.5)
    factors = {name: float(changed.patches.apply(name, torch.ones(1))) for name in changed.patches}
    assert {name.rsplit(".", 2)[1]: value for name, value in factors.items()} == {
        "q_proj": 1.0,
        "k_proj": 1.0,
        "v_proj": 2.0,
        "out_proj": 0.5,
    }
    assert all(name.startswith("clip_l.encoder.layers.") for name in factors)
    before = clip.encode("a fox", residency).embedding
    assert not torch.allclose(changed.encode("a fox", residency).embedding, before, rtol=1e-3)
    assert torch.equal(clip.encode("a fox", residency).embedding, before)


def test_differential_diffusion_keeps_dark_places_longer(model: DiffusionModel, residency: Residency) -> None:
    latent = torch.full_like(EMPTY, 0.5)
    mask = torch.linspace(0.0, 1.0, 16).expand(1, 16, 16)
    changed = patches.differential_diffusion(model)
    given = {"samples": latent, "mask": mask, "sigmas": make_sigmas(model.levels, "simple", 4)}
    found = run(guided(changed), residency, **given)
    assert not torch.allclose(found, run(guided(model), residency, **given), rtol=1e-3)
    torch.testing.assert_close(found[..., 0], latent[..., 0], rtol=1e-3, atol=1e-3)
    moved = (found - latent).abs().mean(dim=(0, 1, 2))
    assert moved[-1] > moved[4]


def test_a_model_without_patches_has_no_hooks(model: DiffusionModel) -> None:
    assert model.hooks is NO_HOOKS
    assert PATCHES["RescaleCFG"](model).hooks is NO_HOOKS
