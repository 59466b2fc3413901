from __future__ import annotations

import asyncio
from typing import Annotated, Any

import pytest
import toys

from comfykit.engine.define import integer, node, node_class, socket
from comfykit.engine.schema import NodeClass, OutputSlot, types_match


def entry_of(function: object) -> NodeClass:
    entry = node_class(function)
    assert entry is not None
    return entry


def test_parameters_become_inputs_and_a_default_makes_one_optional() -> None:
    inputs = entry_of(toys.add).inputs
    assert list(inputs) == ["a", "b"]
    assert inputs["a"].type == "NUMBER"
    assert inputs["a"].required
    assert (inputs["b"].type, inputs["b"].minimum, inputs["b"].maximum) == ("INT", -10, 10)
    assert not inputs["b"].required


def test_the_return_type_becomes_outputs() -> None:
    assert entry_of(toys.pair).outputs == (OutputSlot("NUMBER", "first"), OutputSlot("NUMBER", "second"))
    assert entry_of(toys.show).outputs == ()
    assert entry_of(toys.many).outputs == (OutputSlot("NUMBER", "NUMBER", is_list=True),)


def test_hidden_parameters_are_no_inputs() -> None:
    assert entry_of(toys.told).inputs == {}
    assert entry_of(toys.told).hidden["own"] == "UNIQUE_ID"


def test_the_function_stays_callable_as_it_is() -> None:
    assert toys.add(2, 3) == 5


def test_a_single_output_is_put_into_a_tuple_for_the_engine() -> None:
    assert entry_of(toys.add).bind().run(a=1, b=2) == (3,)
    assert asyncio.run(entry_of(toys.later).bind().run(a=4, seconds=0.0)) == (8,)
    assert entry_of(toys.later).asynchronous


def test_the_docstring_documents_the_node() -> None:
    assert entry_of(toys.start).description == "A number from a widget."


def test_a_parameter_without_an_input_type_is_refused() -> None:
    with pytest.raises(TypeError, match="parameter 'b'"):

        @node("Bad", title="Bad", category="toys")
        def bad(a: Annotated[int, integer(0, 0, 1)], b: int) -> Annotated[Any, socket("X")]:
            return a + b


def test_aliases_can_be_refined() -> None:
    @node("Refined", title="Refined", category="toys")
    def refined(a: Annotated[toys.Number, socket("OTHER")] | None = None) -> toys.Number:
        return 1

    assert entry_of(refined).inputs["a"].type == "OTHER"


class AnyType(str):
    """As packs write it: unequal to nothing."""

    __slots__ = ()

    def __ne__(self, other: object) -> bool:
        return False

    __eq__ = str.__eq__
    __hash__ = str.__hash__


@pytest.mark.parametrize(
    ("given", "wanted", "fits"),
    [
        ("IMAGE", "IMAGE", True),
        ("IMAGE", "MASK", False),
        ("IMAGE", "MASK,IMAGE", True),
        ("INT, FLOAT", "FLOAT,STRING", True),
        ("*", "MODEL", True),
        ("MODEL", "*", True),
        (AnyType("ANY"), "MODEL", True),
    ],
)
def test_which_types_fit(given: str, wanted: str, fits: bool) -> None:
    assert types_match(given, wanted) is fits
