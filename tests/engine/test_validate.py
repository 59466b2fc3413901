from __future__ import annotations

from typing import Any

import pytest
import toys
from toys import check, prompt

from comfykit.engine.graph import graph_from_prompt
from comfykit.engine.registry import Registry
from comfykit.engine.schema import Body, Input, NodeClass, OutputSlot
from comfykit.engine.validate import Checked, Problem, validate


def only(checked: Checked) -> Problem:
    assert len(checked.problems) == 1, [str(problem) for problem in checked.problems]
    return checked.problems[0]


def test_a_good_workflow_has_no_problems() -> None:
    checked = check(prompt(a=("Start", {"value": 1}), b=("Show", {"value": ["a", 0]})))
    assert checked.problems == ()
    assert checked.error is None
    assert checked.outputs == ("b",)


def test_an_unknown_class_stops_everything_and_the_nearest_is_named() -> None:
    checked = check(prompt(a=("Strat", {"value": 1}), b=("Show", {"value": ["a", 0]})))
    assert checked.error == "invalid_prompt"
    assert checked.outputs == ()
    assert only(checked).hint == "did you mean 'Start'?"


def test_a_node_without_a_class_is_named() -> None:
    assert "no class_type" in str(only(check({"1": {"inputs": {}}, **prompt(b=("Widgets", {}))})))


def test_without_an_output_node_there_is_nothing_to_do() -> None:
    assert check(prompt(a=("Start", {"value": 1}))).error == "prompt_no_outputs"
    assert check({}).error == "prompt_no_outputs"


@pytest.mark.parametrize(
    ("inputs", "kind", "words"),
    [
        ({}, "required_input_missing", "'value' (INT) is missing"),
        ({"value": "x"}, "invalid_input_type", "takes INT, not 'x'"),
        ({"value": None}, "invalid_input_type", "takes INT"),
        ({"value": float("nan")}, "invalid_input_type", "takes INT"),
        ({"value": -1}, "value_smaller_than_min", "the least is 0"),
        ({"value": 101}, "value_bigger_than_max", "the most is 100"),
        ({"value": ["gone", 0]}, "bad_linked_input", "'gone', which is not there"),
        ({"value": ["w", 0]}, "bad_linked_input", "has 0 outputs"),
        ({"value": ["m", -1]}, "bad_linked_input", "output -1"),
        ({"value": ["m", 0.5]}, "bad_linked_input", "output 0.5"),
        ({"value": ["m", 0]}, "return_type_mismatch", "takes INT, but is linked to NUMBER"),
    ],
)
def test_what_is_wrong_with_an_input_is_said(inputs: dict[str, Any], kind: str, words: str) -> None:
    nodes = prompt(
        a=("Start", inputs), b=("Show", {"value": ["a", 0]}), m=("Start", {"value": 1}), w=("Widgets", {})
    )
    checked = check(nodes)
    problem = only(checked)
    assert (problem.type, problem.node, problem.class_type, problem.input) == (kind, "a", "Start", "value")
    assert words in str(problem)
    assert checked.outputs == ("w",), "an output that nothing broken feeds still runs"


def test_a_number_that_is_none_is_refused() -> None:
    assert only(check(prompt(w=("Widgets", {"ratio": "NaN"})))).type == "invalid_input_type"


def test_a_socket_takes_no_constant() -> None:
    assert (
        only(check(prompt(a=("Add", {"a": 3}), b=("Show", {"value": ["a", 0]})))).type == "invalid_input_type"
    )


def test_constants_are_cast_as_python_casts_them() -> None:
    checked = check(prompt(w=("Widgets", {"ratio": "0.25", "name": 5, "flag": "false"})))
    inputs = checked.graph["w"].inputs
    assert (inputs["ratio"], inputs["name"], inputs["flag"]) == (0.25, "5", True)


def test_casting_leaves_the_workflow_itself_alone() -> None:
    nodes = prompt(w=("Widgets", {"name": 5}))
    check(nodes)
    assert nodes["w"]["inputs"]["name"] == 5


def test_a_list_that_is_a_value_comes_wrapped() -> None:
    checked = check(prompt(s=("Show", {"value": ["a", 0]}), a=("Choose", {"choose": {"__value__": True}})))
    assert checked.graph["a"].inputs["choose"] is True


def test_a_choice_that_is_not_there() -> None:
    problem = only(check(prompt(w=("Widgets", {"mode": "fats"}))))
    assert problem.type == "value_not_in_list"
    assert problem.hint == "did you mean 'fast'?"


def test_a_file_that_is_not_there_is_explained_by_the_environment() -> None:
    problem = only(check(prompt(w=("Widgets", {"file": "gone.bin"}))))
    assert "no 'gone.bin' in models/toys" in problem.message
    assert problem.hint == "look elsewhere"


def test_a_misspelt_input_is_pointed_out() -> None:
    problem = only(check(prompt(a=("Start", {"valeu": 1}), b=("Show", {"value": ["a", 0]}))))
    assert problem.hint == "it is given 'valeu', which it does not know"


def test_a_loop_is_named() -> None:
    checked = check(
        prompt(a=("Add", {"a": ["b", 0]}), b=("Add", {"a": ["a", 0]}), c=("Show", {"value": ["b", 0]}))
    )
    assert only(checked).type == "graph.DependencyCycleError"
    assert checked.error == "prompt_outputs_failed_validation"


def test_every_problem_is_reported_at_once() -> None:
    checked = check(
        prompt(
            a=("Start", {"value": 1000}),
            b=("Add", {"a": ["a", 0], "b": "x"}),
            c=("Show", {"value": ["b", 0]}),
            d=("Nothing", {}),
            e=("Widgets", {"mode": 1, "ratio": 2}),
        )
    )
    assert sorted(problem.type for problem in checked.problems) == [
        "invalid_input_type",
        "invalid_prompt",
        "value_bigger_than_max",
        "value_bigger_than_max",
        "value_not_in_list",
    ]


def checked_by(check_inputs: Any) -> Checked:
    entry = NodeClass(
        "Own",
        bind=lambda: Body(lambda **inputs: ()),
        inputs={"n": Input("INT", 0, 0, 5), "link": Input("NUMBER", required=False)},
        outputs=(OutputSlot("NUMBER", "n"),),
        output_node=True,
        check=check_inputs,
    )
    nodes = prompt(a=("Own", {"n": 9, "link": ["b", 0]}), b=("Widgets", {"n": 1}))
    nodes["b"] = {"class_type": "Start", "inputs": {"value": 2}}
    registry = toys.registry()
    registry.add(entry)
    return validate(graph_from_prompt(nodes), registry, toys.FakeEnvironment())


def test_a_nodes_own_check_exempts_what_it_names_from_the_range() -> None:
    assert checked_by(lambda n: True).problems == ()
    assert only(checked_by(lambda link: True)).type == "value_bigger_than_max"
    assert checked_by(lambda **everything: True).problems == ()


def test_a_nodes_own_check_may_refuse_or_fail() -> None:
    refused = only(checked_by(lambda n: f"{n} is odd"))
    assert refused.type == "custom_validation_failed"
    assert "9 is odd" in refused.message
    assert only(checked_by(lambda n: 1 // 0)).type == "exception_during_validation"


def test_a_nodes_own_check_sees_constants_and_types_of_links() -> None:
    seen: dict[str, Any] = {}

    def look(n: int, link: Any, input_types: dict[str, str]) -> bool:
        seen.update(n=n, link=link, types=input_types)
        return True

    checked_by(look)
    assert seen == {"n": 9, "link": None, "types": {"link": "NUMBER"}}


def test_registry_finds_classes_of_a_module() -> None:
    registry = Registry()
    registry.add_module(toys)
    assert "Add" in registry
    assert len(registry) == len(toys.registry())
