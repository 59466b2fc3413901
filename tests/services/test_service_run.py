from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from comfykit.engine.define import node, node_class
from comfykit.errors import InvalidWorkflow, NodeFailed
from comfykit.events import Event, NodeEnded, NodeProgress
from comfykit.nodes.builtin import builtin_registry
from comfykit.nodes.types import Image as ImageType
from comfykit.services.run import Runner
from comfykit.settings import Settings, resolve
from comfykit.workflow.override import override
from comfykit.workflow.read import Workflow, read_workflow
from random_weights import random_workflow


@pytest.fixture
def settings(random_home: Path, tmp_path: Path) -> Settings:
    flags = {"home": random_home, "output_dir": tmp_path / "output", "device": "cpu", "precision": "fp32"}
    return resolve(flags, environment={})


def small(*assignments: str) -> Workflow:
    """The workflow on random weights at 64 pixels and two steps."""
    return override(random_workflow(), ("4.width=64", "4.height=64", "5.steps=2", *assignments), None)


def pixels(path: Path) -> torch.Tensor:
    with Image.open(path) as picture:
        return torch.from_numpy(np.asarray(picture, dtype=np.float32).copy())


def test_a_workflow_becomes_a_picture(settings: Settings) -> None:
    events: list[Event] = []
    result = Runner(settings, events.append).run(small())
    assert result.succeeded
    assert result.outputs == {"7": [{"filename": "demo_00001_.png", "subfolder": "", "type": "output"}]}
    with Image.open(settings.output_dir / "demo_00001_.png") as picture:
        assert (picture.size, picture.mode) == ((64, 64), "RGB")
    steps = [(event.value, event.total) for event in events if isinstance(event, NodeProgress)]
    assert steps == [(1, 2), (2, 2)]


def test_a_second_workflow_shares_models_and_results(settings: Settings) -> None:
    events: list[Event] = []
    runner = Runner(settings, events.append)
    runner.run(small())
    events.clear()
    assert runner.run(small("5.seed=8")).succeeded
    ended = {event.node: event.cached for event in events if isinstance(event, NodeEnded)}
    assert ended == {"1": True, "2": True, "3": True, "4": True, "5": False, "6": False, "7": False}


def test_the_same_seed_gives_the_same_picture_and_another_another(settings: Settings) -> None:
    for seed, prefix in ((1, "a"), (1, "b"), (2, "c")):
        assert Runner(settings).run(small(f"5.seed={seed}", f"7.filename_prefix={prefix}")).succeeded
    a, b, c = (pixels(settings.output_dir / f"{name}_00001_.png") for name in "abc")
    assert torch.equal(a, b)
    assert not torch.equal(a, c)


def test_a_saved_picture_is_a_workflow_that_makes_it_again(settings: Settings) -> None:
    runner = Runner(settings)
    runner.run(small("5.seed=5"))
    first = settings.output_dir / "demo_00001_.png"
    assert Runner(settings).run(read_workflow(first)).succeeded
    assert torch.equal(pixels(first), pixels(settings.output_dir / "demo_00002_.png"))


def test_every_problem_is_in_the_result_and_nothing_runs(settings: Settings) -> None:
    broken = small("5.steps=0", "5.sampler_name=eulr", "1.ckpt_name=random_weihgts.safetensors")
    result = Runner(settings).run(broken)
    assert isinstance(result.error, InvalidWorkflow)
    assert sorted(problem.type for problem in result.problems) == [
        "value_not_in_list",
        "value_not_in_list",
        "value_smaller_than_min",
    ]
    hints = " ".join(problem.hint or "" for problem in result.problems)
    assert "euler" in hints
    assert "random_weights.safetensors" in hints
    assert not settings.output_dir.exists()


def test_a_model_that_a_list_knows_comes_with_the_command_that_fetches_it(settings: Settings) -> None:
    result = Runner(settings).run(small("1.ckpt_name=sd_xl_base_1.0.safetensors"))
    (problem,) = result.problems
    assert str(settings.home.models / "checkpoints") in problem.message
    assert "comfykit install-models" in (problem.hint or "")
    assert "sd_xl_base_1.0.safetensors" in (problem.hint or "")


def test_outputs_that_are_sound_are_made_when_others_are_not(settings: Settings) -> None:
    workflow = small()
    prompt = {**workflow.prompt, "9": {"class_type": "SaveImage", "inputs": {"images": ["gone", 0]}}}
    result = Runner(settings).run(replace(workflow, prompt=prompt))
    assert list(result.outputs) == ["7"]
    assert not result.succeeded
    assert {problem.node for problem in result.problems} == {"9"}


def test_memory_that_runs_out_is_explained(settings: Settings) -> None:
    @node("Hungry", title="Hungry", category="test", output=True)
    def hungry(images: ImageType) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    registry = builtin_registry()
    entry = node_class(hungry)
    assert entry is not None
    registry.add(entry)
    workflow = small()
    prompt = {**workflow.prompt, "7": {"class_type": "Hungry", "inputs": {"images": ["6", 0]}}}
    result = Runner(settings, registry=registry).run(replace(workflow, prompt=prompt))
    assert isinstance(result.error, NodeFailed)
    assert "smaller picture" in (result.error.hint or "")


def test_bfloat16_stays_close_to_float32(settings: Settings) -> None:
    """Half precision rounds; the picture must not visibly change."""
    pictures = []
    for precision in ("fp32", "bf16"):
        here = replace(settings, precision=precision)
        assert Runner(here).run(small("5.steps=4", f"7.filename_prefix={precision}")).succeeded
        pictures.append(pixels(here.output_dir / f"{precision}_00001_.png"))
    error = (pictures[0] - pictures[1]).square().mean()
    assert 20 * torch.log10(255 / error.sqrt()) > 30  # decibels; at 30 the eye begins to see differences
