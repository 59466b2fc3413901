"""The cost of a graph is linear in its nodes, counted in calls of functions rather than in seconds."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest
import toys

from comfykit.engine.executor import Executor


def chain(count: int) -> dict[str, Any]:
    nodes = toys.prompt(n0=("Start", {"value": 1}))
    for n in range(1, count):
        nodes[f"n{n}"] = {"class_type": "Add", "inputs": {"a": [f"n{n - 1}", 0]}}
    return {**nodes, **toys.prompt(end=("Show", {"value": [f"n{count - 1}", 0]}))}


def fan(count: int) -> dict[str, Any]:
    nodes = toys.prompt(n0=("Start", {"value": 1}))
    return {**nodes, **toys.prompt(**{f"s{n}": ("Show", {"value": ["n0", 0]}) for n in range(count)})}


def hourglass(count: int) -> dict[str, Any]:
    """Many nodes into one, and that one into many."""
    half = count // 2
    nodes = toys.prompt(**{f"a{n}": ("Start", {"value": n % 100}) for n in range(half)})
    nodes |= toys.prompt(p=("Pair", {"a": ["a0", 0], "b": ["a1", 0]}))
    nodes["p"]["inputs"] |= {f"more{n}": [f"a{n}", 0] for n in range(half)}
    return {**nodes, **toys.prompt(**{f"s{n}": ("Show", {"value": ["p", 0]}) for n in range(half)})}


def calls_of(work: Callable[[], object]) -> int:
    count = 0

    def profile(frame: object, event: str, argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(profile)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.parametrize("shape", [chain, fan, hourglass])
def test_checking_and_running_is_linear_in_nodes(shape: Callable[[int], dict[str, Any]]) -> None:
    def work(count: int) -> int:
        nodes, registry = shape(count), toys.registry()
        return calls_of(lambda: Executor(registry).run(toys.check(nodes)))

    small, large = work(500), work(4_000)
    assert large <= 8.5 * small  # eight times the nodes; a heap adds a little


def test_ten_thousand_levels_need_no_recursion() -> None:
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(400)
    try:
        assert toys.run(chain(10_000)) == {"end": {"values": [10_000]}}
    finally:
        sys.setrecursionlimit(limit)
