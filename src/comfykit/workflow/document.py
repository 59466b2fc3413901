"""The UI form of a workflow as values: nodes, links between them, and subgraphs.

The form is that of ComfyUI's workflow JSON schema, versions 0.4 (links are lists) and 1 (links are
objects). Files come from strangers and from many years of front ends, so a part that has another shape than
the schema gives it is left out here instead of breaking a later step.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from comfykit.errors import WorkflowError

ANY = "*"
NEVER, BYPASS = 2, 4
_OPTIONAL_SHAPE = 7  # the front end draws sockets of optional inputs as rings
# Ends of links that cross the border of a subgraph.
BORDER_IN, BORDER_OUT = "-10", "-20"


@dataclass(frozen=True, slots=True)
class Slot:
    """An input or output of a node; `widget` names the field that an input stands for."""

    name: str
    type: str = ANY
    link: str | None = None
    widget: str | None = None
    optional: bool = False


@dataclass(frozen=True, slots=True)
class UiNode:
    """A node as it was drawn. `values` are its fields' in their order, or by name; `named` by name."""

    id: str
    type: str
    title: str = ""
    mode: int = 0
    order: int = 0
    inputs: tuple[Slot, ...] = ()
    outputs: tuple[Slot, ...] = ()
    values: Any = None
    named: Mapping[str, Any] = field(default_factory=dict)
    properties: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class UiLink:
    """From output `slot` of the node `origin` to input `target_slot` of the node `target`."""

    origin: str
    slot: int
    target: str
    target_slot: int


@dataclass(frozen=True, slots=True)
class UiGraph:
    """Nodes and links by id."""

    nodes: Mapping[str, UiNode]
    links: Mapping[str, UiLink]


@dataclass(frozen=True, slots=True)
class Subgraph:
    """A graph that stands for a node; links from `BORDER_IN` and to `BORDER_OUT` cross its border."""

    id: str
    name: str
    graph: UiGraph
    inputs: tuple[Slot, ...] = ()
    outputs: tuple[Slot, ...] = ()


@dataclass(frozen=True, slots=True)
class UiDocument:
    """A whole file. `groups` are the group nodes of front ends before subgraphs, as they were saved."""

    graph: UiGraph
    subgraphs: Mapping[str, Subgraph]
    groups: Mapping[str, Mapping[str, Any]]


def is_ui_form(value: object) -> bool:
    """Whether a JSON value is the UI form of a workflow."""
    return isinstance(value, dict) and isinstance(value.get("nodes"), list) and "links" in value


def parse(value: Mapping[str, Any], name: str) -> UiDocument:
    """Values from the UI form; raises `WorkflowError` where a node has no id, no type, or another's id."""
    definitions = mapping(value.get("definitions")).get("subgraphs")
    subgraphs = [_subgraph(entry, name) for entry in mappings(definitions)]
    groups = mapping(mapping(value.get("extra")).get("groupNodes"))
    return UiDocument(
        parse_graph(value, name),
        {subgraph.id: subgraph for subgraph in subgraphs if subgraph.id},
        {key: group for key, group in groups.items() if isinstance(group, dict)},
    )


def parse_graph(value: Mapping[str, Any], name: str) -> UiGraph:
    """The nodes and links of a graph, ends at a subgraph's border under `BORDER_IN` and `BORDER_OUT`."""
    border = {
        identity(mapping(value.get("inputNode")).get("id")) or BORDER_IN: BORDER_IN,
        identity(mapping(value.get("outputNode")).get("id")) or BORDER_OUT: BORDER_OUT,
    }
    nodes: dict[str, UiNode] = {}
    for node in (parse_node(entry, name) for entry in _entries(value.get("nodes"), name)):
        if node.id in nodes:
            raise WorkflowError(f"{name}: two nodes have the id {node.id}")
        nodes[node.id] = node
    return UiGraph(nodes, dict(_links(value.get("links"), border)))


def parse_node(value: Mapping[str, Any], name: str, known_as: str | None = None) -> UiNode:
    """A node; `known_as` is its id where it has none of its own."""
    key = identity(value.get("id")) if known_as is None else known_as
    kind = value.get("type")
    if key is None or not isinstance(kind, str) or not kind:
        raise WorkflowError(
            f"{name}: a node without {'an id' if key is None else f'a type (its id is {key})'}",
            hint="the file is damaged; save it again in ComfyUI",
        )
    return UiNode(
        key,
        kind,
        text(value.get("title")),
        whole(value.get("mode")),
        whole(value.get("order")),
        tuple(_slots(value.get("inputs"))),
        tuple(_slots(value.get("outputs"))),
        value.get("widgets_values"),
        mapping(value.get("widgets_values_named")),
        mapping(value.get("properties")),
    )


def _subgraph(value: Mapping[str, Any], name: str) -> Subgraph:
    return Subgraph(
        text(value.get("id")),
        text(value.get("name")),
        parse_graph(value, name),
        tuple(_slots(value.get("inputs"))),
        tuple(_slots(value.get("outputs"))),
    )


def _slots(value: Any) -> Iterator[Slot]:
    for entry in value if isinstance(value, list) else ():
        slot = mapping(entry)
        kind = slot.get("type")
        name, widget = text(slot.get("name")), slot.get("widget")
        yield Slot(
            name,
            "COMBO" if isinstance(kind, list) else text(kind) or ANY,
            identity(slot.get("link")),
            text(widget.get("name")) or name if isinstance(widget, dict) else None,
            slot.get("shape") == _OPTIONAL_SHAPE,
        )


def _links(value: Any, border: Mapping[str, str]) -> Iterator[tuple[str, UiLink]]:
    fields = ("id", "origin_id", "origin_slot", "target_id", "target_slot")
    for entry in value if isinstance(value, list) else ():
        ends = [entry.get(field) for field in fields] if isinstance(entry, dict) else entry
        if not isinstance(ends, list) or len(ends) < len(fields):
            continue
        key, origin, target = identity(ends[0]), identity(ends[1]), identity(ends[3])
        if key is not None and origin is not None and target is not None:
            origin, target = border.get(origin, origin), border.get(target, target)
            yield key, UiLink(origin, whole(ends[2]), target, whole(ends[4]))


def _entries(value: Any, name: str) -> Iterator[Mapping[str, Any]]:
    for entry in value if isinstance(value, list) else ():
        if not isinstance(entry, dict):
            raise WorkflowError(f"{name}: one of its nodes is not an object", hint="the file is damaged")
        yield entry


def identity(value: Any) -> str | None:
    """An id, which is a whole number or a text, as a text; None for anything else."""
    if type(value) is int or type(value) is str:
        return str(value)
    return str(int(value)) if isinstance(value, float) and value.is_integer() else None


def mapping(value: Any) -> Mapping[str, Any]:
    """The value if it is an object, an empty one otherwise."""
    return value if isinstance(value, dict) else {}


def mappings(value: Any) -> list[Mapping[str, Any]]:
    """The objects of a list, none where it is no list."""
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def text(value: Any) -> str:
    """The value if it is a text, an empty one otherwise."""
    return value if isinstance(value, str) else ""


def whole(value: Any) -> int:
    """The value if it is a whole number, 0 otherwise."""
    return value if isinstance(value, int) and not isinstance(value, bool) else 0
