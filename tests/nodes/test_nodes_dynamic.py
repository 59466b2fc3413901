from __future__ import annotations

from typing import Annotated

import pytest

from comfykit.engine.define import integer, node, node_class, text
from comfykit.nodes.dynamic import Group, grouped, lettered, numbered, optional


@grouped("options", optional(size=integer(1, 0, 9)), "kind", {"big": ("size",), "plain": ()})
@grouped("parts", lettered(2, text()))
@node("Toy", title="Toy", category="toys")
def toy(
    kind: Annotated[str, text()], parts: Group, options: Group, tail: Annotated[str, text()]
) -> Annotated[str, text()]:
    return f"{kind} {dict(parts)} {dict(options)} {tail}"


def test_groups_stand_where_their_parameter_does() -> None:
    entry = node_class(toy)
    assert entry is not None
    assert list(entry.inputs) == ["kind", "parts.a", "parts.b", "kind.size", "tail"]
    assert [spec.required for spec in entry.inputs.values()] == [True, True, False, False, True]


def test_a_choice_says_which_inputs_it_brings() -> None:
    entry = node_class(toy)
    assert entry is not None
    assert entry.inputs["kind"].options["branches"] == {"big": ("kind.size",), "plain": ()}


def test_the_function_gets_what_was_given() -> None:
    entry = node_class(toy)
    assert entry is not None
    run = entry.bind().run
    assert run(**{"kind": "k", "parts.b": "x", "kind.size": 3, "tail": "t"}) == (
        "k {'b': 'x'} {'size': 3} t",
    )
    assert run(kind="k", tail="t") == ("k {} {} t",)


def test_members() -> None:
    assert list(numbered("image", 3, text())) == ["image0", "image1", "image2"]


def test_a_function_without_the_parameter() -> None:
    with pytest.raises(TypeError, match="no node with a parameter 'other'"):
        grouped("other", {})(toy)
