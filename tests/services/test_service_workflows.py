from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from comfykit.errors import UsageError, WorkflowError
from comfykit.nodes.builtin import builtin_registry
from comfykit.services.workflows import (
    Feed,
    NodeClasses,
    check,
    describe,
    interfaces_of,
    read,
    write_whole,
)
from comfykit.settings import Settings, resolve
from comfykit.workflow.interface import read_object_info
from comfykit.workflow.read import Workflow, read_workflow
from random_weights import WORKFLOW


@pytest.fixture
def here(random_home: Path, tmp_path: Path) -> Settings:
    return resolve({"home": random_home, "output_dir": tmp_path / "out"}, environment={})


@pytest.fixture(scope="module")
def classes() -> NodeClasses:
    return NodeClasses()


def demo(**changes: dict[str, Any]) -> Workflow:
    """The workflow on random weights, inputs of some nodes changed."""
    prompt = json.loads(WORKFLOW.read_text(encoding="utf-8"))
    for key, inputs in changes.items():
        prompt[key.removeprefix("n")]["inputs"] |= inputs
    return Workflow("demo.json", prompt)


# Interfaces


def test_built_in_classes_look_to_the_converter_as_comfyuis_do(shared: Path) -> None:
    reference = read_object_info(shared / "reference" / "object_info.json")
    ours = interfaces_of(builtin_registry())
    both = sorted(ours.keys() & reference.keys())
    assert len(both) > 20
    for name in both:
        fields = [
            [
                (entry.name, entry.type, entry.control, entry.dynamic_prompts)
                for entry in known.inputs
                if entry.widget
            ]
            for known in (ours[name], reference[name])
        ]
        assert fields[0] == fields[1][: len(fields[0])], name


def test_pairs_of_built_in_classes_convert_without_a_file(shared: Path, classes: NodeClasses) -> None:
    reference = read_object_info(shared / "reference" / "object_info.json")
    compared = 0
    for place in sorted((shared / "pairs").glob("*/ui.json")):
        expected = read_workflow(place, lambda: reference)
        if all(entry["class_type"] in classes.registry for entry in expected.prompt.values()):
            assert read(str(place), classes).prompt == expected.prompt
            compared += 1
    assert compared >= 5


def test_a_file_adds_classes_and_replaces_none(tmp_path: Path) -> None:
    path = tmp_path / "info.json"
    path.write_text(
        json.dumps({"Strange": {"input": {"required": {"a": ["INT"]}}}, "KSampler": {"input": {}}}),
        encoding="utf-8",
    )
    known = NodeClasses(path).interfaces()
    assert "Strange" in known
    assert known["KSampler"].inputs


# Checking


def test_nothing_is_wrong_with_the_demo(classes: NodeClasses, here: Settings) -> None:
    assert check(demo(), classes, here) == []


def test_every_problem_at_once(classes: NodeClasses, here: Settings) -> None:
    broken = demo(
        n4={"width": -1, "batch_size": "many"}, n5={"scheduler": "karas", "model": ["99", 0], "cfg": True}
    )
    kinds = sorted(problem.type for problem in check(broken, classes, here))
    assert kinds == ["bad_linked_input", "invalid_input_type", "value_not_in_list", "value_smaller_than_min"]


def test_what_a_conversion_lost_is_a_problem(classes: NodeClasses, here: Settings, tmp_path: Path) -> None:
    path = tmp_path / "ui.json"
    node = {"id": 1, "type": "Strange", "widgets_values": [1, 2], "outputs": [{"name": "x", "type": "X"}]}
    path.write_text(json.dumps({"nodes": [node], "links": []}), encoding="utf-8")
    problems = check(read(str(path), classes), classes, here)
    assert [problem.type for problem in problems[:2]] == ["unnamed_values", "prompt_no_outputs"] or [
        problem.type for problem in problems[:2]
    ] == ["unnamed_values", "invalid_prompt"]


# Describing


def test_nodes_come_in_an_order_they_can_run_in(classes: NodeClasses, here: Settings) -> None:
    steps = describe(demo(), classes, here).steps
    met: set[str] = set()
    for step in steps:
        assert step.runs
        assert {feed.source for feed in step.feeds} <= met
        met.add(step.id)
    sampler = next(step for step in steps if step.class_type == "KSampler")
    assert Feed("latent_image", "4", 0) in sampler.feeds
    assert sampler.values["scheduler"] == demo().prompt["5"]["inputs"]["scheduler"]


def test_what_no_output_needs_comes_last(classes: NodeClasses, here: Settings) -> None:
    workflow = demo()
    prompt = {"50": {"class_type": "EmptyLatentImage", "inputs": {}}, **workflow.prompt}
    last = describe(replace(workflow, prompt=prompt), classes, here).steps[-1]
    assert (last.id, last.runs) == ("50", False)


def test_models_and_whether_they_are_there(classes: NodeClasses, here: Settings) -> None:
    (model,) = describe(demo(), classes, here).models
    assert (model.folder, model.there, model.nodes) == ("checkpoints", True, ("1",))
    wanted = "sd_xl_base_1.0.safetensors"
    (model,) = describe(demo(n1={"ckpt_name": wanted}), classes, here).models
    assert not model.there
    assert model.command is not None
    assert model.command.startswith("comfykit install-models")


def test_models_of_unknown_classes_by_how_their_names_end(classes: NodeClasses, here: Settings) -> None:
    node = {
        "id": 7,
        "properties": {"models": [{"name": "a.safetensors", "url": "https://x/a", "directory": "vae"}]},
    }
    odd = {"properties": {"models": [{"name": "b.pth", "directory": "../.."}, 3, None]}}
    prompt = {
        "7": {"class_type": "Strange", "inputs": {"one": "a.safetensors", "two": "b.pth", "three": "c"}}
    }
    workflow = Workflow("w.json", prompt, {"workflow": {"nodes": [node, odd, 3]}})
    models = describe(workflow, classes, here).models
    assert [(model.name, model.folder, model.url) for model in models] == [
        ("a.safetensors", "vae", "https://x/a"),
        ("b.pth", None, None),
    ]


def test_a_circle_is_described_all_the_same(classes: NodeClasses, here: Settings) -> None:
    assert len(describe(demo(n4={"width": ["6", 0]}), classes, here).steps) == len(demo().prompt)


# Writing


def test_a_file_appears_whole(tmp_path: Path) -> None:
    path = tmp_path / "out.json"
    path.write_text("old")
    write_whole(path, "new")
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["none/out.json", "."])
def test_a_file_that_cannot_be_written(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError):
        write_whole(tmp_path / name, "new")
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_read(tmp_path: Path, classes: NodeClasses) -> None:
    with pytest.raises(WorkflowError, match="no workflow file"):
        read(str(tmp_path / "none.json"), classes)
