from __future__ import annotations

from typing import Any

import pytest
from toys import check, prompt, ran, registry, run

from comfykit.engine.cache import Cache, NewestCache, NoCache
from comfykit.engine.executor import Executor
from comfykit.errors import Interrupted, NodeFailed
from comfykit.events import Event, NodeBlocked, NodeEnded, NodeStarted, OutputSaved

CHAIN = prompt(a=("Start", {"value": 1}), b=("Add", {"a": ["a", 0], "b": 2}), c=("Show", {"value": ["b", 0]}))


def test_a_chain_gives_its_value() -> None:
    assert run(CHAIN) == {"c": {"values": [3]}}


def test_only_what_an_output_needs_runs() -> None:
    run({**CHAIN, **prompt(x=("Start", {"value": 50}), y=("Fail", {"a": ["x", 0]}))})
    assert "Start 50" not in ran


def test_a_node_maps_over_lists_and_repeats_the_last_item() -> None:
    nodes = prompt(
        m=("Many", {"count": 3}),
        s=("Start", {"value": 7}),
        p=("Pair", {"a": ["m", 0], "b": ["s", 0]}),
        first=("Show", {"value": ["p", 0]}),
        second=("Show", {"value": ["p", 1]}),
    )
    assert run(nodes) == {"first": {"values": [0, 1, 2]}, "second": {"values": [7, 7, 7]}}


def test_a_list_class_gets_the_whole_list_once() -> None:
    nodes = prompt(m=("Many", {"count": 4}), t=("Sum", {"values": ["m", 0]}), s=("Show", {"value": ["t", 0]}))
    assert run(nodes) == {"s": {"values": [6]}}


def test_an_empty_list_runs_nothing() -> None:
    assert run(prompt(m=("Many", {"count": 0}), s=("Show", {"value": ["m", 0]}))) == {}


def test_an_empty_list_beside_other_values_is_named() -> None:
    nodes = prompt(
        m=("Many", {"count": 0}), a=("Add", {"a": ["m", 0], "b": 1}), s=("Show", {"value": ["a", 0]})
    )
    with pytest.raises(NodeFailed, match="input 'a' got an empty list"):
        run(nodes)


def test_only_the_lazy_input_that_is_wanted_runs() -> None:
    nodes = prompt(
        y=("Start", {"value": 1}),
        n=("Start", {"value": 2}),
        c=("Choose", {"choose": False, "yes": ["y", 0], "no": ["n", 0]}),
        s=("Show", {"value": ["c", 0]}),
    )
    assert run(nodes) == {"s": {"values": [2]}}
    assert ran == ["Start 2", "Show"]


def test_a_blocker_skips_what_depends_on_it_and_its_message_is_said_once() -> None:
    events: list[Event] = []
    nodes = prompt(
        b=("Block", {"message": "not today"}),
        c=("Add", {"a": ["b", 0]}),
        d=("Add", {"a": ["c", 0]}),
        s=("Show", {"value": ["d", 0]}),
    )
    assert run(nodes, reporter=events.append) == {}
    assert ran == []
    assert [event.message for event in events if isinstance(event, NodeBlocked)] == ["not today"]


def test_a_silent_blocker_says_nothing() -> None:
    events: list[Event] = []
    run(prompt(b=("Block", {}), s=("Show", {"value": ["b", 0]})), reporter=events.append)
    assert not [event for event in events if isinstance(event, NodeBlocked)]


def test_a_node_expands_into_others_whose_outputs_run_too() -> None:
    nodes = prompt(a=("Start", {"value": 1}), g=("Grow", {"a": ["a", 0]}), s=("Show", {"value": ["g", 0]}))
    assert run(nodes) == {"g.0.3": {"values": [1]}, "s": {"values": [6]}}


def test_expansion_into_a_taken_id_fails() -> None:
    nodes = prompt(a=("Start", {"value": 1}), g=("Grow", {"a": ["a", 0]}), s=("Show", {"value": ["g", 0]}))
    nodes["g.0.2"] = {"class_type": "Start", "inputs": {"value": 1}}
    with pytest.raises(NodeFailed, match="an id that is in use"):
        run(nodes)


def test_an_asynchronous_node_lets_others_go_on() -> None:
    nodes = prompt(
        a=("Start", {"value": 3}),
        l=("Later", {"a": ["a", 0], "seconds": 0.2}),
        b=("Add", {"a": ["a", 0], "b": 1}),
        s=("Show", {"value": ["l", 0]}),
        t=("Show", {"value": ["b", 0]}),
    )
    assert run(nodes) == {"s": {"values": [6]}, "t": {"values": [4]}}
    assert ran.index("Add") < ran.index("Later ends")


def test_outputs_come_before_what_nothing_shows_yet() -> None:
    nodes = prompt(
        x=("Start", {"value": 1}),
        y=("Add", {"a": ["x", 0]}),
        z=("Add", {"a": ["y", 0]}),
        far=("Add", {"a": ["z", 0]}),
        last=("Show", {"value": ["far", 0]}),
        near=("Show", {"value": ["x", 0]}),
    )
    run(nodes)
    assert ran.index("Show") == 1, "the output that is ready runs before the rest of the chain"


def test_hidden_inputs_are_filled_in() -> None:
    outputs = run(
        prompt(t=("Told", {})),
        prompt={"t": 1},
        extra_pnginfo={"workflow": {}},
        context=lambda node: f"of {node}",
    )
    assert outputs["t"]["told"] == [{"t": 1}, {"workflow": {}}, "t", "of t"]


def test_a_second_run_makes_nothing_again() -> None:
    executor = Executor(registry())
    first = run(CHAIN, executor)
    events: list[Event] = []
    assert run(CHAIN, executor, reporter=events.append) == first
    assert ran == []
    assert [event.cached for event in events if isinstance(event, NodeEnded)] == [True]
    assert [event for event in events if isinstance(event, OutputSaved)]


def test_renumbered_nodes_find_their_results() -> None:
    executor = Executor(registry())
    run(CHAIN, executor)
    run(
        prompt(
            z=("Start", {"value": 1}), y=("Add", {"a": ["z", 0], "b": 2}), x=("Show", {"value": ["y", 0]})
        ),
        executor,
    )
    assert ran == []


def test_a_changed_constant_runs_what_follows_it() -> None:
    executor = Executor(registry())
    run(CHAIN, executor)
    changed = {**CHAIN, "b": {"class_type": "Add", "inputs": {"a": ["a", 0], "b": 3}}}
    assert run(changed, executor) == {"c": {"values": [4]}}
    assert ran == ["Add", "Show"]


@pytest.mark.parametrize(
    ("cache", "again"),
    [(Cache(), ["Start 1", "Add", "Show"]), (NewestCache(9), []), (NoCache(), ["Start 1", "Add", "Show"])],
)
def test_what_each_cache_keeps_over_another_workflow(cache: Cache, again: list[str]) -> None:
    executor = Executor(registry(), cache)
    run(CHAIN, executor)
    run(prompt(a=("Start", {"value": 9}), s=("Show", {"value": ["a", 0]})), executor)
    run(CHAIN, executor)
    assert ran == again


def test_without_a_cache_results_are_let_go_as_soon_as_possible() -> None:
    alive: list[int] = []

    class Watched(NoCache):
        def put(self, key: str, entry: Any) -> None:
            alive.append(len(held.results))

    executor = Executor(registry(), Watched())
    nodes = prompt(n0=("Start", {"value": 1}))
    for n in range(1, 30):
        nodes |= prompt(**{f"n{n}": ("Add", {"a": [f"n{n - 1}", 0], "b": n % 10})})
    nodes |= prompt(s=("Show", {"value": ["n29", 0]}))
    from comfykit.engine import executor as module

    held = module._Run(executor, check(nodes), {}, lambda node: None, lambda event: None, lambda: False)
    held.finish()
    assert max(alive) <= 2


def test_a_failing_node_is_named_and_what_ran_before_stays_known() -> None:
    executor = Executor(registry())
    nodes = prompt(a=("Start", {"value": 1}), f=("Fail", {"a": ["a", 0]}), s=("Show", {"value": ["f", 0]}))
    nodes["f"]["_meta"] = {"title": "the culprit"}
    with pytest.raises(
        NodeFailed, match=r"node f \(Fail 'the culprit'\) failed: ZeroDivisionError: 1 is not for me"
    ) as caught:
        run(nodes, executor)
    facts = caught.value.facts
    assert (facts["node_id"], facts["node_type"], facts["exception_type"]) == (
        "f",
        "Fail",
        "ZeroDivisionError",
    )
    assert facts["current_inputs"] == {"a": [1]}
    assert "not for me" in str(facts["traceback"])
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    with pytest.raises(NodeFailed):
        run(nodes, executor)
    assert ran == [], "the first node need not run again"


def test_being_asked_to_stop_ends_the_run() -> None:
    with pytest.raises(Interrupted):
        run(CHAIN, stopped=lambda: "Add" in ran)
    assert ran == ["Start 1", "Add"]


def test_events_tell_the_story() -> None:
    events: list[Event] = []
    run(CHAIN, reporter=events.append)
    assert [event.node for event in events if isinstance(event, NodeStarted)] == ["a", "b", "c"]
    assert [event.node for event in events if isinstance(event, NodeEnded)] == ["a", "b", "c"]
    assert [event.ui for event in events if isinstance(event, OutputSaved)] == [{"values": [3]}]


def test_a_chain_of_ten_thousand_runs() -> None:
    nodes = prompt(n0=("Start", {"value": 0}))
    for n in range(1, 10_000):
        nodes[f"n{n}"] = {"class_type": "Add", "inputs": {"a": [f"n{n - 1}", 0]}}
    nodes["s"] = {"class_type": "Show", "inputs": {"value": ["n9999", 0]}}
    assert run(nodes) == {"s": {"values": [9999]}}
