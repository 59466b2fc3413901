from __future__ import annotations

import copy
from typing import Any

import pytest
from workflow_files import sample

from comfykit.errors import UsageError
from comfykit.workflow.override import override
from comfykit.workflow.read import Workflow


def changed(
    *assignments: str, seed: int | None = None, prompt: dict[str, Any] | None = None
) -> dict[str, Any]:
    return override(Workflow("flow.json", prompt or sample()), assignments, seed).prompt


def refused(assignment: str, prompt: dict[str, Any] | None = None) -> UsageError:
    with pytest.raises(UsageError) as caught:
        changed(assignment, prompt=prompt)
    return caught.value


def test_nothing_to_change_gives_the_same() -> None:
    workflow = Workflow("flow.json", sample(), {"workflow": {}})
    assert override(workflow) == workflow


def test_the_workflow_given_is_left_alone() -> None:
    workflow = Workflow("flow.json", sample())
    before = copy.deepcopy(workflow)
    override(workflow, ["3.steps=30", "6.text=hi"], 5)
    assert workflow == before


def test_by_id_and_by_title_in_any_case() -> None:
    assert changed("3.steps=30")["3"]["inputs"]["steps"] == 30
    assert changed("ksampler.steps=30")["3"]["inputs"]["steps"] == 30


def test_a_title_with_dots() -> None:
    assert changed("Prompt (v1.5).text=a.b=c")["6"]["inputs"]["text"] == "a.b=c"


def test_a_node_without_title_is_called_by_its_class() -> None:
    assert changed("SaveImage.filename_prefix=out/x")["7"]["inputs"]["filename_prefix"] == "out/x"


def test_the_longest_name_that_has_the_input_wins() -> None:
    prompt = sample()
    prompt["a"] = {"class_type": "A", "inputs": {"b.c": 1, "x": 1}}
    prompt["a.b"] = {"class_type": "B", "inputs": {"c": 1}}
    assert changed("a.b.c=2", prompt=prompt)["a.b"]["inputs"] == {"c": 2}
    assert changed("a.x=2", prompt=prompt)["a"]["inputs"]["x"] == 2
    del prompt["a.b"]["inputs"]["c"]
    assert changed("a.b.c=2", prompt=prompt)["a"]["inputs"]["b.c"] == 2


def test_an_equals_sign_in_a_title() -> None:
    prompt = sample()
    prompt["6"]["_meta"]["title"] = "x.y=z"
    assert changed("x.y=z.text=t", prompt=prompt)["6"]["inputs"]["text"] == "t"


def test_an_id_goes_before_a_title() -> None:
    prompt = sample()
    prompt["6"]["_meta"]["title"] = "3"
    prompt["6"]["inputs"]["steps"] = 1
    after = changed("3.steps=9", prompt=prompt)
    assert (after["3"]["inputs"]["steps"], after["6"]["inputs"]["steps"]) == (9, 1)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("30", 30),
        ("-1.5e3", -1500.0),
        ("true", True),
        ("null", None),
        ('"30"', "30"),
        ('{"__value__": [1, 2]}', {"__value__": [1, 2]}),
        ("euler", "euler"),
        ("", ""),
        ("[1, 2]", "[1, 2]"),
        ("True", "True"),
        ("0x10", "0x10"),
        ("NaN", "NaN"),
        ("1e999", "1e999"),
        ("-Infinity", "-Infinity"),
        ('{"a": NaN}', '{"a": NaN}'),
        ("{broken", "{broken"),
        ('{"a":' * 200, '{"a":' * 200),
        ("9" * 5000, "9" * 5000),
    ],
)
def test_values(text: str, value: object) -> None:
    assert changed(f"3.steps={text}")["3"]["inputs"]["steps"] == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("42", "42"),
        ("true", "true"),
        ('{"a": 1}', '{"a": 1}'),
        ('"42"', "42"),
        (" spaces ", " spaces "),
        ("鹿", "鹿"),
    ],
)
def test_a_string_stays_a_string(text: str, value: str) -> None:
    assert changed(f"6.text={text}")["6"]["inputs"]["text"] == value


def test_a_link_may_become_a_constant() -> None:
    assert changed("3.model=5")["3"]["inputs"]["model"] == 5


def test_later_assignments_win() -> None:
    assert changed("3.steps=1", "3.steps=2")["3"]["inputs"]["steps"] == 2


def test_unknown_nodes_and_inputs_name_the_nearest() -> None:
    error = refused("KSamplr.steps=3")
    assert "no node with the id or title 'KSamplr'" in str(error)
    assert error.hint == "did you mean 'KSampler'?"
    error = refused("3.step=3")
    assert "node 3 (KSampler) has no input 'step'" in str(error)
    assert error.hint == "did you mean 'steps' or 'seed'?"
    assert refused("3.zzzz=3").hint == "its inputs are model, seed, steps, cfg, sampler_name"


def test_an_ambiguous_title_lists_the_ids() -> None:
    prompt = sample()
    prompt["8"] = copy.deepcopy(prompt["6"])
    error = refused("prompt (V1.5).text=x", prompt)
    assert "2 nodes have this title: 6, 8" in str(error)
    assert changed("8.text=x", prompt=prompt)["8"]["inputs"]["text"] == "x"


@pytest.mark.parametrize("assignment", ["", "steps=3", "3.steps", "=3", ".=", "3"])
def test_no_assignment_at_all(assignment: str) -> None:
    assert isinstance(refused(assignment), UsageError)


def test_bytes_that_are_no_text() -> None:
    assert "not UTF-8" in str(refused("6.text=\udcff"))


def test_a_seed_for_every_constant() -> None:
    prompt = sample()
    prompt["8"] = {"class_type": "RandomNoise", "inputs": {"noise_seed": 1}}
    prompt["9"] = {"class_type": "KSampler", "inputs": {"seed": ["8", 0]}}
    after = changed(seed=2**64 - 1, prompt=prompt)
    assert after["3"]["inputs"]["seed"] == after["8"]["inputs"]["noise_seed"] == 2**64 - 1
    assert after["9"]["inputs"]["seed"] == ["8", 0]


def test_an_assignment_wins_over_the_seed() -> None:
    assert changed("3.seed=1", seed=2)["3"]["inputs"]["seed"] == 1


def test_a_seed_that_nothing_takes_is_a_warning() -> None:
    prompt = {"6": sample()["6"]}
    after = override(Workflow("flow.json", prompt, warnings=("before",)), (), 5)
    assert after.prompt == prompt
    assert after.warnings[0] == "before"
    assert "--seed 5 changes nothing" in after.warnings[1]
    assert override(Workflow("flow.json", sample()), (), 5).warnings == ()


@pytest.mark.parametrize("seed", [-1, 2**64])
def test_a_seed_out_of_range(seed: int) -> None:
    with pytest.raises(UsageError, match="0 to 18446744073709551615"):
        changed(seed=seed)
