from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

import tiny_models
from comfykit.errors import ModelFileError
from comfykit.families.conditioning import from_link
from comfykit.families.family import Scene
from comfykit.families.guiders import CFGGuider, sample
from comfykit.families.hook_keyframes import NO_KEYFRAMES, Keyframe, Keyframes
from comfykit.families.hooks import NO_HOOKS, ClipHooks, Hook, Hooks, LoraSource, ModelSource
from comfykit.families.load import Checkpoint, load_checkpoint
from comfykit.families.lora import add_lora
from comfykit.families.scheduled_text import encode_to_link
from comfykit.memory import Residency
from comfykit.sampling.latent_noise import RandomNoise
from comfykit.sampling.samplers import find_sampler
from comfykit.sampling.schedulers import make_sigmas
from comfykit.weights.lora import Lora, parse_lora
from random_weights import CONTEXT_WIDTH

EMPTY = torch.zeros(1, 4, 8, 8)
LINK = list[list[Any]]


@pytest.fixture
def lora() -> Lora:
    """A LoRA strong enough to be seen."""
    return parse_lora({name: value.float() * 8 for name, value in tiny_models.lora().items()})


@pytest.fixture
def other(tmp_path: Path) -> Checkpoint:
    """Another checkpoint: the same with its weights a little louder."""
    path = tmp_path / "other.safetensors"
    tensors = {name: (value * 1.1).contiguous() for name, value in tiny_models.sd15().items()}
    save_file(tensors, path)
    return load_checkpoint(path)


@pytest.fixture
def fox(checkpoint: Checkpoint, residency: Residency) -> LINK:
    return encode_to_link(checkpoint.clip, "a fox", residency)


@pytest.fixture
def blur(checkpoint: Checkpoint, residency: Residency) -> LINK:
    return encode_to_link(checkpoint.clip, "blurry", residency)


def hooked(source: LoraSource | ModelSource, strength: float, frames: Keyframes = NO_KEYFRAMES) -> Hooks:
    return Hooks((Hook(source, strength, strength, frames),))


def having(conditioning: LINK, **options: Any) -> LINK:
    return [[embedding, {**before, **options}] for embedding, before in conditioning]


def scene(checkpoint: Checkpoint) -> Scene:
    model = checkpoint.model
    return Scene(EMPTY, EMPTY, None, model.network.config, model.family.latent_format)


def run(guider: CFGGuider, residency: Residency, sigmas: Tensor | None = None, **changes: Any) -> Tensor:
    given: dict[str, Any] = {
        "samples": EMPTY,
        "noise": RandomNoise(3).generate_noise({"samples": EMPTY}),
        "sampler": find_sampler("euler"),
        "sigmas": make_sigmas(guider.model.levels, "normal", 4) if sigmas is None else sigmas,
        "seed": 3,
    }
    return sample(guider, residency, **{**given, **changes}).samples


def test_a_hook_on_both_sides_is_a_lora_on_the_model(
    checkpoint: Checkpoint, residency: Residency, lora: Lora, fox: LINK, blur: LINK
) -> None:
    loaded = add_lora(lora, checkpoint.model, None, strength_model=0.7).model
    hooks = hooked(LoraSource(lora), 0.7)
    plain = CFGGuider(checkpoint.model, fox, blur, 5.0)
    found = run(
        replace(plain, positive=having(fox, hooks=hooks), negative=having(blur, hooks=hooks)), residency
    )
    assert torch.equal(found, run(replace(plain, model=loaded), residency))
    assert not torch.allclose(found, run(plain, residency), atol=1e-2)


def test_hooks_come_on_top_of_loras_of_the_model(
    checkpoint: Checkpoint, residency: Residency, lora: Lora, fox: LINK
) -> None:
    half = add_lora(lora, checkpoint.model, None, strength_model=0.5).model
    twice = add_lora(lora, half, None, strength_model=0.25).model
    found = run(CFGGuider(half, having(fox, hooks=hooked(LoraSource(lora), 0.25)), [], 1.0), residency)
    assert torch.equal(found, run(CFGGuider(twice, fox, [], 1.0), residency))


def test_each_conditioning_is_evaluated_with_its_own_weights(
    checkpoint: Checkpoint, residency: Residency, lora: Lora, fox: LINK, blur: LINK
) -> None:
    # A single step of Euler to the end is the guided prediction: U + cfg (C - U).
    sigmas = torch.tensor([10.0, 0.0])
    hooks = hooked(LoraSource(lora), 1.0)
    mixed = CFGGuider(checkpoint.model, having(fox, hooks=hooks), blur, 3.0)
    loaded = add_lora(lora, checkpoint.model, None, strength_model=1.0).model
    conditional = run(CFGGuider(loaded, fox, [], 1.0), residency, sigmas)
    unconditional = run(CFGGuider(checkpoint.model, blur, [], 1.0), residency, sigmas)
    expected = unconditional + 3.0 * (conditional - unconditional)
    torch.testing.assert_close(run(mixed, residency, sigmas), expected, atol=1e-3, rtol=1e-4)


def test_the_weights_change_as_seldom_as_they_can(
    checkpoint: Checkpoint,
    residency: Residency,
    lora: Lora,
    fox: LINK,
    blur: LINK,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    placed: list[object] = []
    place: Callable[..., None] = residency.place

    def noted(*args: Any, **named: Any) -> None:
        if named.get("patches") is not (placed[-1] if placed else None):
            placed.append(named["patches"])
        place(*args, **named)

    guider = CFGGuider(checkpoint.model, having(fox, hooks=hooked(LoraSource(lora), 1.0)), blur, 3.0)
    monkeypatch.setattr(residency, "place", noted)
    run(guider, residency)
    # Four steps: plain, hooked; hooked, plain; plain, hooked; hooked, plain.
    assert len(placed) == 5
    assert len(set(map(id, placed))) == 2


def test_keyframes_change_the_strength_on_the_way(
    checkpoint: Checkpoint, residency: Residency, lora: Lora, fox: LINK
) -> None:
    model = checkpoint.model
    sigmas = make_sigmas(model.levels, "normal", 4)
    frames = NO_KEYFRAMES.with_more([Keyframe(0.0, 0.0), Keyframe(0.4, 0.5)])
    hooks = hooked(LoraSource(lora), 2.0, frames)
    found = run(CFGGuider(model, having(fox, hooks=hooks), [], 1.0), residency)
    changed = next(step for step, sigma in enumerate(sigmas) if sigma <= model.levels.percent_to_sigma(0.4))
    assert 0 < changed < 4
    loaded = add_lora(lora, model, None, strength_model=1.0).model
    first = run(CFGGuider(model, fox, [], 1.0), residency, sigmas[: changed + 1])
    last = run(
        CFGGuider(loaded, fox, [], 1.0),
        residency,
        sigmas[changed:],
        samples=first,
        noise=torch.zeros_like(EMPTY),
    )
    torch.testing.assert_close(found, last, atol=1e-3, rtol=1e-4)


def test_keyframes_know_of_the_levels_before_their_conditioning_counts(
    checkpoint: Checkpoint, residency: Residency, lora: Lora, fox: LINK
) -> None:
    # Guaranteed steps are spent while another conditioning counts.
    frames = Keyframes((Keyframe(0.0, 0.0, 1), Keyframe(0.01, 1.0, 0)))
    late = {"start_percent": 0.5, "hooks": hooked(LoraSource(lora), 1.0, frames)}
    always = {"start_percent": 0.5, "hooks": hooked(LoraSource(lora), 1.0)}
    early = having(fox, end_percent=0.5)
    found = run(CFGGuider(checkpoint.model, [*early, *having(fox, **late)], [], 1.0), residency)
    expected = run(CFGGuider(checkpoint.model, [*early, *having(fox, **always)], [], 1.0), residency)
    assert torch.equal(found, expected)


def test_after_a_run_the_model_is_as_it_was(
    checkpoint: Checkpoint, residency: Residency, lora: Lora, fox: LINK, blur: LINK
) -> None:
    plain = CFGGuider(checkpoint.model, fox, blur, 5.0)
    before = run(plain, residency)
    run(replace(plain, positive=having(fox, hooks=hooked(LoraSource(lora), 1.0))), residency)
    assert torch.equal(run(plain, residency), before)


@pytest.mark.parametrize("strength", [0.5, 1.0])
def test_a_model_as_a_hook_is_mixed_with_the_model(
    checkpoint: Checkpoint, residency: Residency, other: Checkpoint, fox: LINK, strength: float
) -> None:
    name = "out.2.weight"
    patch = ModelSource(other).unet_patches(checkpoint.model.network, residency)[name]
    own = dict(checkpoint.model.network.named_parameters())[name].float()
    target = dict(other.model.network.named_parameters())[name].float()
    torch.testing.assert_close(patch.apply(own, strength), own * (1 - strength) + target * strength)
    hooks = hooked(ModelSource(other), 1.0)
    if strength == 1.0:
        found = run(CFGGuider(checkpoint.model, having(fox, hooks=hooks), [], 1.0), residency)
        torch.testing.assert_close(
            found, run(CFGGuider(other.model, fox, [], 1.0), residency), atol=1e-3, rtol=1e-4
        )


def test_what_fits_nothing_says_so(checkpoint: Checkpoint, residency: Residency, fox: LINK) -> None:
    odd = parse_lora(
        {f"lora_unet_double_blocks_0.lora_{part}.weight": torch.ones(4, 4) for part in ("up", "down")}
    )
    guider = CFGGuider(checkpoint.model, having(fox, hooks=hooked(LoraSource(odd), 1.0)), [], 1.0)
    with pytest.raises(ModelFileError, match="it seems to be for Flux"):
        run(guider, residency)


def test_hooks_of_no_strength_for_the_model_share_its_calls(checkpoint: Checkpoint, lora: Lora) -> None:
    text_only = Hooks((Hook(LoraSource(lora), 0.0, 1.0),))
    model_only = Hooks((Hook(LoraSource(lora), 1.0, 0.0),))
    link = [
        [torch.zeros(1, 77, CONTEXT_WIDTH), {"hooks": hooks}] for hooks in (text_only, model_only, NO_HOOKS)
    ]
    found = from_link(link, checkpoint.model, 0, scene(checkpoint))
    assert [one.weight_hooks for one in found] == [(), model_only.hooks, ()]


def test_a_hook_counts_once(lora: Lora) -> None:
    one, same, another = hooked(LoraSource(lora), 1.0), LoraSource(lora), hooked(LoraSource(lora), 1.0)
    assert one.with_more(one) == one
    assert len(one.with_more(another).hooks) == 2
    frames = Keyframes((Keyframe(0.0, 0.5),))
    assert hooked(same, 1.0) == hooked(same, 1.0)
    assert hooked(same, 1.0) != hooked(same, 1.0).with_keyframes(frames)


def test_a_text_encoder_with_hooks_is_one_with_the_lora(
    checkpoint: Checkpoint, residency: Residency, lora: Lora, fox: LINK
) -> None:
    frames = NO_KEYFRAMES.with_more([Keyframe(0.0, 0.0)])
    hooks = hooked(LoraSource(lora), 0.5, frames)
    loaded = add_lora(lora, checkpoint.model, checkpoint.clip, strength_model=0.5, strength_clip=0.5).clip
    assert loaded is not None
    ((expected, _),) = encode_to_link(loaded, "a fox", residency)
    clip = replace(checkpoint.clip, hooks=ClipHooks(hooks))
    ((found, options),) = encode_to_link(clip, "a fox", residency)
    assert torch.equal(found, expected)  # keyframes do not count where it is not scheduled
    assert not torch.equal(found, fox[0][0])
    assert options["hooks"] == hooks
    alone = replace(clip, hooks=ClipHooks(hooks, apply_to_conds=False))
    assert "hooks" not in encode_to_link(alone, "a fox", residency)[0][1]


def test_a_scheduled_text_encoder_encodes_for_every_strength(
    checkpoint: Checkpoint, residency: Residency, lora: Lora, fox: LINK
) -> None:
    frames = NO_KEYFRAMES.with_more(
        [Keyframe(0.25, 0.0), Keyframe(0.5, 1.0), Keyframe(0.7, 1.0), Keyframe(0.75, 0.5)]
    )
    clip = replace(checkpoint.clip, hooks=ClipHooks(hooked(LoraSource(lora), 1.0, frames), scheduled=True))
    found = encode_to_link(clip, "a fox", residency)
    ranges = [(options["clip_start_percent"], options["clip_end_percent"]) for _, options in found]
    assert ranges == [(0.0, 0.5), (0.5, 0.75), (0.75, 1.0)]
    assert torch.equal(found[0][0], fox[0][0])
    assert not torch.equal(found[1][0], found[2][0])


def test_of_prompts_that_follow_each_other_one_counts_at_every_level(checkpoint: Checkpoint) -> None:
    model = checkpoint.model
    spans = [(0.0, 0.5), (0.5, 0.75), (0.75, 1.0)]
    link = [
        [torch.zeros(1, 77, CONTEXT_WIDTH), {"clip_start_percent": start, "clip_end_percent": end}]
        for start, end in spans
    ]
    made = from_link(link, model, 0, scene(checkpoint))
    levels = [1e10, model.levels.sigma_max, *(model.levels.percent_to_sigma(p) for p in (0.5, 0.75)), 0.0]
    counting = [[one.active_at(sigma) for one in made].index(True) for sigma in levels]
    assert counting == [0, 0, 1, 2, 2]
    assert all(sum(one.active_at(sigma) for one in made) == 1 for sigma in levels)
    assert not any(one.always_active for one in made)
