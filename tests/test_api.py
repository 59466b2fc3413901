from __future__ import annotations

from pathlib import Path
from typing import Annotated

import pytest
import torch
from PIL import Image as Pillow

import comfykit
from comfykit import Image, integer, node
from comfykit.errors import InvalidWorkflow, NodeFailed, UsageError
from random_weights import WORKFLOW

SMALL = {"4.width": 64, "4.height": 64, "KSampler.steps": 2}


@node("Posterize", title="Posterize", category="image")
def posterize(image: Image, levels: Annotated[int, integer(2, 2, 256)] = 2) -> Image:
    """Fewer levels of brightness."""
    return (image * (levels - 1)).round() / (levels - 1)


@pytest.fixture
def engine(random_home: Path, tmp_path: Path) -> comfykit.Engine:
    return comfykit.Engine(
        home=random_home, output_dir=tmp_path / "out", device="cpu", precision="fp32", nodes=[posterize]
    )


@pytest.fixture
def workflow() -> comfykit.Workflow:
    return comfykit.Workflow.load(WORKFLOW).set(SMALL)


def test_a_run_gives_files_tensors_and_pictures(engine: comfykit.Engine, workflow: comfykit.Workflow) -> None:
    result = engine.run(workflow)
    (file,) = result.files
    (tensor,) = result.tensors()
    (picture,) = result.images("7")
    assert tensor.shape == (1, 64, 64, 3)
    with Pillow.open(file) as written:
        assert written.tobytes() == picture.tobytes()
    assert result.tensors("6") == []


def test_a_cached_run_gives_them_again(engine: comfykit.Engine, workflow: comfykit.Workflow) -> None:
    first, second = engine.run(workflow), engine.run(workflow)
    assert first.files == second.files
    assert torch.equal(first.tensors()[0], second.tensors()[0])


def test_seeds_and_inputs_are_set_without_changing_the_workflow(
    engine: comfykit.Engine, workflow: comfykit.Workflow
) -> None:
    before = dict(workflow.prompt["2"]["inputs"])
    one = engine.run(workflow, seed=1, set={"Positive.text": "5"})
    two = engine.run(workflow, seed=2, set={"Positive.text": "5"})
    assert not torch.equal(one.tensors()[0], two.tensors()[0])
    assert workflow.prompt["2"]["inputs"] == before
    assert workflow.set({"Positive.text": "5"}).prompt["2"]["inputs"]["text"] == "5"


def test_own_nodes_run(engine: comfykit.Engine, workflow: comfykit.Workflow) -> None:
    prompt = {
        **workflow.prompt,
        "8": {"class_type": "Posterize", "inputs": {"image": ["6", 0]}},
        "7": {"class_type": "SaveImage", "inputs": {"images": ["8", 0], "filename_prefix": "flat"}},
    }
    (tensor,) = engine.run(comfykit.Workflow.from_prompt(prompt)).tensors()
    assert set(tensor.unique().tolist()) <= {0.0, 1.0}


def test_a_function_that_is_no_node_is_refused() -> None:
    with pytest.raises(UsageError, match="is no node"):
        comfykit.Engine(nodes=[lambda image: image])


def test_problems_are_values_before_a_run_and_an_error_in_it(
    engine: comfykit.Engine, workflow: comfykit.Workflow
) -> None:
    assert engine.check(workflow) == ()
    broken = workflow.set({"5.steps": 0})
    assert [problem.type for problem in engine.check(broken)] == ["value_smaller_than_min"]
    with pytest.raises(InvalidWorkflow) as caught:
        engine.run(broken)
    assert caught.value.facts["problems"] == engine.check(broken)


def test_a_failing_node_raises(random_home: Path, tmp_path: Path, workflow: comfykit.Workflow) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(NodeFailed, match="SaveImage"):
        comfykit.run(workflow, home=random_home, output_dir=tmp_path / "file", device="cpu")


def test_a_workflow_is_saved_and_loaded(workflow: comfykit.Workflow, tmp_path: Path) -> None:
    workflow.save(tmp_path / "saved.json")
    assert comfykit.Workflow.load(tmp_path / "saved.json").prompt == workflow.prompt


def test_a_value_that_is_no_json_is_refused(workflow: comfykit.Workflow) -> None:
    with pytest.raises(UsageError, match="cannot be the value"):
        workflow.set({"Positive.text": object()})
