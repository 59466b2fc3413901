from __future__ import annotations

from typing import Any

import toys
from toys import prompt

from comfykit.engine.graph import graph_from_prompt, upstream
from comfykit.engine.registry import Registry
from comfykit.engine.schema import Body, Input, NodeClass
from comfykit.engine.signature import sign


def keys_of(nodes: dict[str, Any], registry: Registry | None = None) -> dict[str, str]:
    graph = graph_from_prompt(nodes)
    keys: dict[str, str] = {}
    sign(graph, upstream(graph, list(nodes)).order, registry or toys.registry(), keys)
    return keys


def test_the_same_node_has_the_same_key_under_another_id() -> None:
    assert keys_of(prompt(a=("Start", {"value": 1})))["a"] == keys_of(prompt(z=("Start", {"value": 1})))["z"]


def test_class_constants_and_ancestors_count() -> None:
    keys = keys_of(
        prompt(
            a=("Start", {"value": 1}),
            b=("Start", {"value": 2}),
            c=("Add", {"a": ["a", 0]}),
            d=("Add", {"a": ["b", 0]}),
            e=("Add", {"a": ["a", 0], "b": 2}),
            f=("Show", {"value": ["a", 0]}),
        )
    )
    assert len(set(keys.values())) == 6


def test_slots_count() -> None:
    nodes = prompt(
        a=("Start", {"value": 1}),
        p=("Pair", {"a": ["a", 0], "b": ["a", 0]}),
        x=("Show", {"value": ["p", 0]}),
        y=("Show", {"value": ["p", 1]}),
    )
    keys = keys_of(nodes)
    assert keys["x"] != keys["y"]


def test_ids_count_for_classes_that_ask_for_theirs() -> None:
    keys = keys_of(prompt(a=("Told", {}), b=("Told", {})))
    assert keys["a"] != keys["b"]


def test_what_cannot_be_compared_is_never_found() -> None:
    for value in (float("nan"), {1, 2}, object()):
        nodes = prompt(a=("Start", {"value": value}), b=("Add", {"a": ["a", 0]}))
        assert keys_of(nodes)["a"] != keys_of(nodes)["a"]
        assert keys_of(nodes)["b"] != keys_of(nodes)["b"]


def fingerprinted(answers: list[Any]) -> Registry:
    def fingerprint(value: Any, link: Any = 0) -> Any:
        assert link is None
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    inputs = {"value": Input("INT"), "link": Input("NUMBER")}
    registry = toys.registry()
    registry.add(NodeClass("File", bind=lambda: Body(lambda **_: ()), inputs=inputs, fingerprint=fingerprint))
    return registry


def test_a_new_fingerprint_makes_a_new_key() -> None:
    nodes = prompt(s=("Start", {"value": 1}), a=("File", {"value": 1, "link": ["s", 0]}))
    registry = fingerprinted(["x", "x", "y", float("nan"), float("nan"), ValueError(), ValueError()])
    keys = [keys_of(nodes, registry)["a"] for _ in range(7)]
    assert keys[0] == keys[1]
    assert len(set(keys)) == 6
