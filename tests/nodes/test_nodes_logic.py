from __future__ import annotations

from typing import Any

import pytest
from nodes_support import Run

from comfykit.engine.executor import Executor
from comfykit.engine.graph import graph_from_prompt
from comfykit.engine.validate import validate
from comfykit.errors import UsageError
from comfykit.nodes.builtin import builtin_registry
from comfykit.nodes.logic import create_list, get_item_from_list, math_expression, switch_node, wanted_branch
from comfykit.services.environment import HomeEnvironment


def test_switch() -> None:
    assert switch_node(True, 1, 2) == 2
    assert switch_node(False, on_false=1) == 1
    assert switch_node(True) is None
    assert wanted_branch(True) == ["on_true"]


def test_math() -> None:
    assert math_expression("a / b", {"a": 7, "b": 2}) == (3.5, 3, True)
    assert math_expression("a - a", {"a": 7}) == (0.0, 0, False)


def test_lists() -> None:
    assert create_list({"input0": [1, 2], "input1": [3]}) == [1, 2, 3]
    assert get_item_from_list([1, 2, 3], [-1]) == 3
    with pytest.raises(UsageError, match="has 2 items"):
        get_item_from_list([1, 2], [2])


def node(class_type: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": class_type, "inputs": inputs}


def test_in_a_workflow(run: Run) -> None:
    """Groups of inputs, lists, and a branch that is not run because it is not chosen."""
    prompt = {
        "1": node("PrimitiveInt", value=7),
        "2": node("ComfyMathExpression", expression="a > b", **{"values.a": ["1", 0], "values.b": 3}),
        "3": node("ComfyMathExpression", expression="1 / 0", **{"values.a": ["1", 0]}),
        "4": node("ComfySwitchNode", switch=["2", 2], on_false=["3", 0], on_true=["1", 0]),
        "5": node("CreateList", **{"inputs.input0": ["4", 0], "inputs.input1": ["2", 1]}),
        "6": node("PreviewAny", source=["5", 0]),
        "7": node("GetItemFromList", list=["5", 0], index=1),
        "8": node("PreviewAny", source=["7", 0]),
    }
    registry = builtin_registry()
    checked = validate(graph_from_prompt(prompt), registry, HomeEnvironment(run.settings))
    assert checked.problems == ()
    shown = Executor(registry).run(checked)
    assert shown["6"]["text"] == ["7", "1"]
    assert shown["8"]["text"] == ["1"]
