"""Graphs that are large and wrong in every node: all is said, in time linear in what is there."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import pytest

from comfykit.engine.define import combo, integer, node, node_class, socket
from comfykit.engine.graph import LONGEST_LOOP, graph_from_prompt, upstream
from comfykit.engine.inspector import MOST_FILES_ASKED, MOST_GUESSED
from comfykit.engine.registry import Registry
from comfykit.engine.schema import Listing, Missing
from comfykit.engine.validate import Checked, validate

COUNT = 5000


@node("Load", title="Load", category="test")
def load(name: Annotated[str, combo(Listing("models/vae"))]) -> Annotated[object, socket("A")]: ...


@node("Step", title="Step", category="test")
def step(
    a: Annotated[object, socket("A")],
    size: Annotated[int, integer(1, 0, 9)],
    b: Annotated[object, socket("A")] = None,
) -> Annotated[object, socket("A")]: ...


@node("End", title="End", category="test", output=True)
def end(a: Annotated[object, socket("A")]) -> None: ...


class Counting(Registry):
    """Counts guesses."""

    guesses = 0

    def nearest(self, name: str) -> list[str]:
        self.guesses += 1
        return super().nearest(name)


class Machine:
    """Counts questions."""

    asked = 0

    def choices(self, folder: str) -> list[str]:
        return ["there"]

    def missing(self, folder: str, name: str) -> Missing:
        self.asked += 1
        return Missing(f"asked for {name}")


REGISTRY = [entry for entry in map(node_class, (load, step, end)) if entry is not None]


@contextmanager
def soon() -> Iterator[None]:
    begin = time.process_time()
    yield
    assert time.process_time() - begin < 5


def checked(prompt: dict[str, Any], machine: Machine | None = None) -> Checked:
    with soon():
        return validate(graph_from_prompt(prompt), Registry(REGISTRY), machine or Machine())


def steps(**inputs: Any) -> dict[str, Any]:
    """A chain of steps that ends in an output; `inputs` are what each is given besides."""
    prompt: dict[str, Any] = {"0": {"class_type": "Load", "inputs": {"name": "there"}}}
    for index in range(1, COUNT):
        prompt[str(index)] = {"class_type": "Step", "inputs": {"a": [str(index - 1), 0], "size": 1, **inputs}}
    return {**prompt, "end": {"class_type": "End", "inputs": {"a": [str(COUNT - 1), 0]}}}


def test_a_sound_chain() -> None:
    result = checked(steps())
    assert (result.problems, result.outputs) == ((), ("end",))


def test_a_circle_through_every_node() -> None:
    result = checked(steps(b=[str(COUNT - 1), 0]))
    assert result.error == "prompt_outputs_failed_validation"
    assert len(result.problems) == COUNT - 1
    assert all(len(str(problem)) < 300 for problem in result.problems)


def test_loops_that_are_long_are_shortened() -> None:
    graph = graph_from_prompt(steps(b=[str(COUNT - 1), 0]))
    loops = upstream(graph, ["end"]).cycles
    assert all(loop[0] == loop[-1] for loop in loops)
    assert max(map(len, loops)) == LONGEST_LOOP + 1


def test_links_to_nothing() -> None:
    assert len(checked(steps(b=["none", 0])).problems) == COUNT - 1


def test_values_out_of_range_and_of_a_wrong_kind() -> None:
    assert len(checked(steps(size=10)).problems) == COUNT - 1
    assert len(checked(steps(size="many", b=7)).problems) == 2 * (COUNT - 1)


def test_unknown_classes_are_guessed_at_a_few_times() -> None:
    registry = Counting(REGISTRY)
    prompt = {str(index): {"class_type": f"Stepp{index}", "inputs": {}} for index in range(COUNT)}
    with soon():
        result = validate(graph_from_prompt(prompt), registry, Machine())
    assert registry.guesses == MOST_GUESSED
    assert sum("there is no node class" in problem.message for problem in result.problems) == COUNT
    assert "did you mean 'Step'?" in str(result.problems[0].hint or result.problems[1].hint)


def test_one_unknown_class_is_guessed_at_once() -> None:
    registry = Counting(REGISTRY)
    prompt = {str(index): {"class_type": "Stepp", "inputs": {}} for index in range(COUNT)}
    result = validate(graph_from_prompt(prompt), registry, Machine())
    assert registry.guesses == 1
    assert {problem.hint for problem in result.problems if problem.node} == {"did you mean 'Step'?"}


def test_the_machine_is_asked_for_a_few_files() -> None:
    prompt: dict[str, Any] = {}
    for index in range(COUNT):
        prompt[f"l{index}"] = {"class_type": "Load", "inputs": {"name": f"file {index}"}}
        prompt[f"e{index}"] = {"class_type": "End", "inputs": {"a": [f"l{index}", 0]}}
    machine = Machine()
    result = checked(prompt, machine)
    assert machine.asked == MOST_FILES_ASKED
    assert len(result.problems) == COUNT
    assert "no 'file 4999' in models/vae" in result.problems[-1].message


def test_one_file_is_asked_for_once() -> None:
    prompt: dict[str, Any] = {}
    for index in range(100):
        prompt[f"l{index}"] = {"class_type": "Load", "inputs": {"name": "gone"}}
        prompt[f"e{index}"] = {"class_type": "End", "inputs": {"a": [f"l{index}", 0]}}
    machine = Machine()
    assert len(checked(prompt, machine).problems) == 100
    assert machine.asked == 1


def test_names_of_megabytes() -> None:
    name = "x" * 1_000_000
    prompt = {
        name: {"class_type": name + "y", "inputs": {}},
        name + "z": {"class_type": "Load", "inputs": {"name": name}},
        "1": {"class_type": "End", "inputs": {"a": [name + "w", 0]}},
        "2": {"class_type": "End", "inputs": {"a": [name + "z", 0]}},
    }
    result = checked(prompt)
    assert len(result.problems) == 3


@pytest.mark.parametrize("value", [[], ["there"], {}, {"there": 1}, None, 3, True])
def test_a_choice_that_is_no_text(value: object) -> None:
    prompt = {
        "1": {"class_type": "Load", "inputs": {"name": value}},
        "2": {"class_type": "End", "inputs": {"a": ["1", 0]}},
    }
    (problem,) = checked(prompt).problems
    assert problem.type == "value_not_in_list"
