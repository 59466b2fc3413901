from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from nodes_support import Run
from safetensors.torch import save_file

import comfykit
import tiny_models
from comfykit.families.hook_keyframes import Keyframe, Keyframes
from comfykit.families.hooks import NO_HOOKS, Hook, Hooks, LoraSource, ModelSource
from comfykit.families.load import load_checkpoint
from comfykit.nodes.hook_conditioning import (
    conditioning_set_default_combine,
    conditioning_set_properties,
    conditioning_set_properties_and_combine,
    conditioning_timesteps_range,
    pair_conditioning_combine,
    pair_conditioning_set_default_combine,
    pair_conditioning_set_properties,
    pair_conditioning_set_properties_and_combine,
)
from comfykit.nodes.hooks import (
    combine_hooks_2,
    combine_hooks_4,
    combine_hooks_8,
    create_hook_keyframe,
    create_hook_keyframes_from_floats,
    create_hook_keyframes_interpolated,
    create_hook_lora,
    create_hook_lora_model_only,
    create_hook_model_as_lora,
    create_hook_model_as_lora_model_only,
    set_clip_hooks,
    set_hook_keyframes,
)
from comfykit.weights.lora import Lora
from random_weights import CHECKPOINT

PAGE = Path(__file__).parents[2] / "docs" / "weight-hooks.md"


def hooks(count: int = 1) -> Hooks:
    return Hooks(tuple(Hook(LoraSource(Lora({})), 1.0, 1.0) for _ in range(count)))


@pytest.fixture
def lora(run: Run) -> str:
    path = run.settings.home.models / "loras" / "style.safetensors"
    path.parent.mkdir(parents=True)
    save_file(tiny_models.lora(), path)
    return path.name


@pytest.fixture
def checkpoint(run: Run, random_home: Path) -> str:
    folder = run.settings.home.models / "checkpoints"
    folder.mkdir(parents=True)
    (folder / CHECKPOINT).symlink_to(random_home / "models" / "checkpoints" / CHECKPOINT)
    return CHECKPOINT


def test_a_lora_becomes_a_hook_after_others(run: Run, lora: str) -> None:
    before = hooks()
    found = create_hook_lora(run.context, lora, 0.5, 0.25, before)
    assert found.hooks[0] == before.hooks[0]
    assert isinstance(found.hooks[1].source, LoraSource)
    assert (found.hooks[1].strength_model, found.hooks[1].strength_clip) == (0.5, 0.25)
    (only,) = create_hook_lora_model_only(run.context, lora, 0.5).hooks
    assert (only.strength_model, only.strength_clip) == (0.5, 0.0)


def test_without_strength_no_file_is_opened(run: Run) -> None:
    before = hooks()
    assert create_hook_lora(run.context, "nowhere", 0.0, 0.0, before) is before
    assert create_hook_lora_model_only(run.context, "nowhere", 0.0) == NO_HOOKS
    assert create_hook_model_as_lora(run.context, "nowhere", 0.0, 0.0) == NO_HOOKS


def test_a_checkpoint_becomes_a_hook(run: Run, checkpoint: str) -> None:
    (found,) = create_hook_model_as_lora(run.context, checkpoint, 1.0, 0.5).hooks
    assert isinstance(found.source, ModelSource)
    assert (found.strength_model, found.strength_clip) == (1.0, 0.5)
    (only,) = create_hook_model_as_lora_model_only(run.context, checkpoint, 1.0).hooks
    assert only.strength_clip == 0.0


def test_keyframes_in_a_row_are_sorted() -> None:
    late = create_hook_keyframe(0.5, 0.6)
    assert create_hook_keyframe(2.0, 0.1, late) == Keyframes((Keyframe(0.1, 2.0), Keyframe(0.6, 0.5)))


def test_keyframes_between_two_strengths(run: Run) -> None:
    given = (run.context, 0.0, 2.0, "ease_in", 0.2, 0.8, 3)
    found = create_hook_keyframes_interpolated(*given, False).keyframes
    assert [one.strength for one in found] == pytest.approx([0.0, 0.5, 2.0])
    assert [one.start_percent for one in found] == pytest.approx([0.2, 0.5, 0.8])
    assert run.warnings == []
    before = create_hook_keyframe(9.0, 0.0)
    assert len(create_hook_keyframes_interpolated(*given, True, before).keyframes) == 4
    assert run.warnings == ["keyframes, start and strength: 0.200: 0.000, 0.500: 0.500, 0.800: 2.000"]


def test_keyframes_of_a_list_of_numbers(run: Run) -> None:
    found = create_hook_keyframes_from_floats(run.context, [1, 0.5], 0.0, 0.5, False)
    assert found.keyframes == (Keyframe(0.0, 1.0, 1), Keyframe(0.5, 0.5, 0))
    alone = create_hook_keyframes_from_floats(run.context, 0.75, 0.25, 1.0, False)
    assert alone.keyframes == (Keyframe(0.25, 0.75, 1),)
    assert create_hook_keyframes_from_floats(run.context, [], 0.0, 1.0, False).keyframes == ()


def test_keyframes_are_set_on_every_hook_or_left() -> None:
    given, frames = hooks(2), create_hook_keyframe(0.5, 0.0)
    assert [hook.keyframes for hook in set_hook_keyframes(given, frames).hooks] == [frames, frames]
    assert set_hook_keyframes(given) is given


def test_hooks_are_combined_in_order() -> None:
    one, two, three = hooks(), hooks(2), hooks()
    assert combine_hooks_2(one, two).hooks == (*one.hooks, *two.hooks)
    assert combine_hooks_4(hooks_B=three, hooks_D=one).hooks == (*three.hooks, *one.hooks)
    assert combine_hooks_8(one, hooks_H=one) == one
    assert combine_hooks_2() == NO_HOOKS


def test_hooks_are_set_on_a_text_encoder(random_home: Path) -> None:
    clip = load_checkpoint(random_home / "models" / "checkpoints" / CHECKPOINT).clip
    assert set_clip_hooks(clip, True, False) is clip
    given = hooks()
    found = set_clip_hooks(clip, False, True, given).hooks
    assert found is not None
    assert (found.hooks, found.apply_to_conds, found.scheduled) == (given, False, True)


def test_a_range_and_what_lies_around_it() -> None:
    assert conditioning_timesteps_range(0.2, 0.7) == ((0.2, 0.7), (0.0, 0.2), (0.7, 1.0))


def test_properties_are_set_where_they_are_given() -> None:
    prompt = [[torch.zeros(1, 77, 4), {"pooled_output": None}]]
    ((_, plain),) = conditioning_set_properties(prompt, 0.5, "mask bounds")
    assert plain == {"pooled_output": None}
    given, more = hooks(), hooks()
    ((_, options),) = conditioning_set_properties(
        prompt, 0.5, "mask bounds", torch.ones(8, 8), given, (0.25, 0.75)
    )
    assert options["mask"].shape == (1, 8, 8)
    assert (options["mask_strength"], options["set_area_to_bounds"]) == (0.5, True)
    assert (options["start_percent"], options["end_percent"]) == (0.25, 0.75)
    assert options["hooks"] == given
    ((_, both),) = conditioning_set_properties([[prompt[0][0], options]], 1.0, "default", None, more)
    assert both["hooks"].hooks == (*given.hooks, *more.hooks)
    assert prompt[0][1] == {"pooled_output": None}


def test_what_is_combined_comes_after() -> None:
    old, new = [[torch.zeros(1), {}]], [[torch.ones(1), {}]]
    given = hooks()
    found = conditioning_set_properties_and_combine(old, new, 1.0, "default", hooks=given)
    assert [options.get("hooks") for _, options in found] == [None, given]
    found = conditioning_set_default_combine(old, new, given)
    assert [options.get("default", False) for _, options in found] == [False, True]
    assert found[1][1]["hooks"] == given


def test_pairs_are_treated_alike() -> None:
    positive, negative = [[torch.zeros(1), {}]], [[torch.ones(1), {}]]
    given = hooks()
    for changed in pair_conditioning_set_properties(positive, negative, 1.0, "default", hooks=given):
        assert changed[0][1]["hooks"] == given
    beside = pair_conditioning_set_properties_and_combine(
        positive, negative, positive, negative, 1.0, "default", hooks=given
    )
    assert [[float(value) for value, _ in side] for side in beside] == [[0, 0], [1, 1]]
    assert [[len(options) for _, options in side] for side in beside] == [[0, 1], [0, 1]]
    combined = pair_conditioning_combine(positive, negative, negative, positive)
    assert [[float(value) for value, _ in side] for side in combined] == [[0, 1], [1, 0]]
    defaults = pair_conditioning_set_default_combine(positive, negative, positive, negative)
    assert all(side[1][1]["default"] for side in defaults)


def test_the_workflow_of_the_page_runs(tmp_path: Path) -> None:
    (text,) = re.findall(r"```json\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    tiny_models.write_models(tmp_path / "models")
    engine = comfykit.Engine(home=tmp_path, device="cpu", precision="fp32")
    workflow = comfykit.Workflow.from_prompt(json.loads(text))
    assert engine.check(workflow) == ()
    small = {"size.width": 64, "size.height": 64, "sampler.steps": 3}

    def picture(**changes: object) -> torch.Tensor:
        result = engine.run(workflow.set({**small, **changes}))
        (found,) = result.images()
        return torch.from_numpy(np.array(found))

    hooked = picture()
    plain = picture(**{"style.strength_model": 0.0, "style.strength_clip": 0.0})
    assert not torch.equal(hooked, plain)
