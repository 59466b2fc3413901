"""Files that somebody broke: reading, converting and checking raise nothing but what comfykit raises."""

from __future__ import annotations

import copy
import json
import sys
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import Annotated, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ui_files import INTERFACES, drawn, node, out, slot, small
from workflow_files import sample

from comfykit.engine.define import combo, integer, node_class, number, socket, text
from comfykit.engine.define import node as define
from comfykit.engine.graph import graph_from_prompt
from comfykit.engine.registry import Registry
from comfykit.engine.schema import Listing, Missing
from comfykit.engine.validate import validate
from comfykit.errors import ComfykitError
from comfykit.workflow.override import override
from comfykit.workflow.read import Workflow, read_workflow

SUBGRAPH = "11111111-0000-0000-0000-000000000001"
ODD: list[Any] = [
    None, True, -1, 0, 2**63, 1e308, -0.5, "", "-10", "57", "Load", "Reroute", "workflow>Mine", SUBGRAPH,
    [], {}, [[]], {"": {}}, [None], ["4", 0], [4, 0], ["4", 1.5], {"__value__": [1]}, {"name": "steps"}, "\0",
]  # fmt: skip


def rich() -> dict[str, Any]:
    """A file with everything: a subgraph, a group, reroutes, primitives, muted and bypassed nodes."""
    inner = node(
        3,
        "Sample",
        [7, "fixed", 25, "ddim"],
        inputs=[slot("model", "MODEL", 1), slot("steps", "INT", 2, widget=True)],
        outputs=[out("LATENT")],
    )
    links = [{"id": key, "origin_id": a, "origin_slot": b, "target_id": c, "target_slot": d, "type": "*"}
             for key, a, b, c, d in ((1, -10, 0, 3, 0), (2, -10, 1, 3, 1), (4, 3, 0, -20, 0))]  # fmt: skip
    subgraph = {
        "id": SUBGRAPH, "name": "S", "inputNode": {"id": -10}, "outputNode": {"id": -20},
        "inputs": [{"name": "model"}, {"name": "steps"}], "outputs": [{"name": "LATENT"}],
        "nodes": [inner], "links": links,
    }  # fmt: skip
    group = {
        "nodes": [
            {"type": "Reroute", "index": 0, "inputs": [slot("")], "outputs": [out("*")]},
            {"type": "Patch", "index": 1, "inputs": [slot("model", "MODEL")], "outputs": [out("MODEL")]},
        ],
        "links": [[0, 0, 1, 0, 1, "MODEL"]], "external": [[1, 0, "MODEL"]], "config": {"1": {"input": {}}},
    }  # fmt: skip
    nodes = [
        *small()["nodes"],
        node(5, "Reroute", inputs=[slot("", "*", 1)], outputs=[out("MODEL")]),
        node(6, "PrimitiveNode", [33, "fixed"], outputs=[out("INT")]),
        node(7, "Patch", [1.0], mode=4, inputs=[slot("model", "MODEL", 3)], outputs=[out("MODEL")]),
        node(8, "Text", ["a {b|c} // d", 1], mode=2, outputs=[out("CONDITIONING")]),
        node(57, SUBGRAPH, [30], inputs=[slot("model", "MODEL", 4), slot("steps", "INT", 5, widget=True)],
             outputs=[out("LATENT")], properties={"proxyWidgets": [["-1", "steps"]]}),
        node(58, "workflow>Mine", [2.0], inputs=[slot("model", "MODEL", 1)], outputs=[out("MODEL")]),
        node(10, "Save", ["%Sampler.steps%/%date:yyyy%"], inputs=[slot("latent", "LATENT", 6)]),
    ]  # fmt: skip
    links4 = [
        (1, 4, 0, 3, 0),
        (2, 3, 0, 9, 0),
        (3, 5, 0, 7, 0),
        (4, 7, 0, 57, 0),
        (5, 6, 0, 57, 1),
        (6, 57, 0, 10, 0),
    ]
    return drawn(nodes, links4, definitions={"subgraphs": [subgraph]}, extra={"groupNodes": {"Mine": group}})


class Nowhere:
    """A machine with two files."""

    def choices(self, folder: str) -> list[str]:
        return ["a.safetensors", "b.safetensors"]

    def missing(self, folder: str, name: str) -> Missing:
        return Missing(f"no {name!r}")


@define("Load", title="Load", category="test")
def load(
    name: Annotated[str, combo(Listing("models/checkpoints"))],
) -> Annotated[object, socket("MODEL")]: ...


@define("Sample", title="Sampler", category="test")
def run_sampler(
    model: Annotated[object, socket("MODEL")],
    seed: Annotated[int, integer(0, 0, 2**64 - 1)],
    steps: Annotated[int, integer(20, 1, 100)],
    sampler: Annotated[str, combo(["euler", "ddim"])],
    positive: Annotated[object, socket("CONDITIONING")] = None,
) -> Annotated[object, socket("LATENT")]: ...


@define("Patch", title="Patch", category="test")
def patch(
    model: Annotated[object, socket("MODEL")], scale: Annotated[float, number(1.0, 0.0, 10.0)]
) -> Annotated[object, socket("MODEL")]: ...


@define("Save", title="Save", category="test", output=True)
def save(
    latent: Annotated[object, socket("LATENT")], filename_prefix: Annotated[str, text("out")]
) -> None: ...


REGISTRY = Registry(entry for entry in map(node_class, (load, run_sampler, patch, save)) if entry is not None)


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) below a value."""
    found: list[tuple[Any, Any]] = []
    left = [value]
    while left:
        item = left.pop()
        keys = (
            list(item) if isinstance(item, dict) else list(range(len(item))) if isinstance(item, list) else []
        )
        found += [(item, key) for key in keys]
        left += [item[key] for key in keys]
    return found


@st.composite
def broken(draw: st.DrawFn) -> bytes:
    """A file of either form, with parts replaced, removed, doubled or renamed, or bytes changed."""
    value = copy.deepcopy(
        draw(st.sampled_from([sample(), rich(), small(), {"prompt": sample(), "workflow": rich()}]))
    )
    for _ in range(draw(st.integers(1, 6))):
        at = places(value)
        if not at:
            break
        container, key = draw(st.sampled_from(at))
        action = draw(st.sampled_from(["replace", "remove", "double", "move", "rename"]))
        if action == "replace":
            container[key] = copy.deepcopy(draw(st.sampled_from(ODD)))
        elif action == "remove":
            del container[key]
        elif action == "double" and isinstance(container, list):
            container.append(copy.deepcopy(container[key]))
        elif action == "move":
            other, there = draw(st.sampled_from(at))
            if there in other if isinstance(other, dict) else there < len(other):
                container[key] = copy.deepcopy(other[there])
        elif isinstance(container, dict):
            container[str(draw(st.sampled_from(ODD)))] = container.pop(key)
    data = bytearray(json.dumps(value).encode())
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 3]))):
        place = draw(st.integers(0, len(data) - 1))
        data[place : place + draw(st.integers(0, 4))] = draw(st.binary(max_size=3))
    return bytes(data)


def everything(data: bytes) -> None:
    """Read from standard input, convert, override, check; only errors of comfykit's own may come."""
    try:
        workflow = from_stdin(data)
        workflow = override(workflow, ["3.seed=5"] if "3" in workflow.prompt else [], 7)
        checked = validate(graph_from_prompt(workflow.prompt), REGISTRY, Nowhere())
    except ComfykitError:
        return
    assert checked.outputs or checked.error
    for problem in (*workflow.problems, *checked.problems):
        assert str(problem)
    json.dumps(workflow.prompt, allow_nan=False)


def from_stdin(data: bytes) -> Workflow:
    before = sys.stdin
    sys.stdin = TextIOWrapper(BytesIO(data))
    try:
        return read_workflow("-", lambda: INTERFACES)
    finally:
        sys.stdin = before


def test_the_files_are_sound_before_they_are_broken() -> None:
    for document in (rich(), small()):
        workflow = from_stdin(json.dumps(document).encode())
        assert workflow.problems == ()
        assert validate(graph_from_prompt(workflow.prompt), REGISTRY, Nowhere()).error is None


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(broken())
def test_broken_files(data: bytes) -> None:
    everything(data)


@pytest.mark.slow
@settings(max_examples=10_000, deadline=None, suppress_health_check=list(HealthCheck))
@given(broken())
def test_ten_thousand_broken_files(data: bytes) -> None:
    everything(data)


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from([b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"RIFF\x40\0\0\0WEBP", b"{", b""]),
    st.binary(max_size=200),
)
def test_files_of_noise(head: bytes, noise: bytes) -> None:
    everything(head + noise)


def test_the_pairs_broken_in_a_few_places(shared: Path) -> None:
    """One part after the other of a real file is replaced by each odd value."""
    document = json.loads(
        (shared / "pairs" / "hidream__hidream_e1_example" / "ui.json").read_text(encoding="utf-8")
    )
    at = places(document)
    for index in range(0, len(at), 23):
        container, key = at[index]
        kept = container[key]
        container[key] = ODD[index % len(ODD)]
        everything(json.dumps(document).encode())
        container[key] = kept
