from __future__ import annotations

import pytest

from comfykit.engine.graph import graph_from_prompt, is_link, upstream


@pytest.mark.parametrize("value", [["1", 0], ["node", 2], ["1", 0.0]])
def test_a_list_of_an_id_and_a_slot_is_a_link(value: object) -> None:
    assert is_link(value)


@pytest.mark.parametrize(
    "value", [[1, 0], ["1"], ["1", 0, 0], ["1", "0"], ["1", True], ("1", 0), "1", None, {}]
)
def test_everything_else_is_a_constant(value: object) -> None:
    assert not is_link(value)


def test_titles_and_inputs_are_read() -> None:
    graph = graph_from_prompt({"7": {"class_type": "A", "inputs": {"x": 1}, "_meta": {"title": "first"}}})
    assert (graph["7"].class_type, graph["7"].title, graph["7"].inputs) == ("A", "first", {"x": 1})


@pytest.mark.parametrize("entry", [{}, {"class_type": None}, {"inputs": 3}, {"_meta": []}])
def test_odd_entries_are_kept_for_validation_to_name(entry: dict[str, object]) -> None:
    assert graph_from_prompt({"1": entry})["1"].class_type == ""


def link(*sources: str) -> dict[str, object]:
    return {"class_type": "A", "inputs": {f"i{n}": [source, 0] for n, source in enumerate(sources)}}


def test_upstream_has_sources_first_and_nothing_else() -> None:
    graph = graph_from_prompt({"a": link(), "b": link("a"), "c": link("a", "b"), "d": link(), "e": link("d")})
    order = upstream(graph, ["c"]).order
    assert sorted(order) == ["a", "b", "c"]
    assert order.index("a") < order.index("b") < order.index("c")


def test_upstream_names_every_loop() -> None:
    graph = graph_from_prompt(
        {"a": link("b"), "b": link("c"), "c": link("a"), "d": link("d"), "e": link("a", "d")}
    )
    cycles = upstream(graph, ["e"]).cycles
    assert [sorted(set(loop)) for loop in cycles] == [["a", "b", "c"], ["d"]]
    assert all(loop[0] == loop[-1] for loop in cycles)


def test_upstream_passes_over_links_that_lead_nowhere() -> None:
    assert upstream(graph_from_prompt({"a": link("gone")}), ["a"]).order == ["a"]
