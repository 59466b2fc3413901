"""Subgraphs unfolded into scopes.

A node inside the subgraph node 57 has the id `57:3`, as in the API form that the front end makes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from comfykit.errors import WorkflowError
from comfykit.workflow.document import (
    BORDER_IN,
    BYPASS,
    NEVER,
    Subgraph,
    UiDocument,
    UiGraph,
    UiNode,
    text,
)
from comfykit.workflow.groups import Group, as_subgraph, group_of
from comfykit.workflow.interface import Interfaces
from comfykit.workflow.widgets import in_order

MOST_NODES = 500_000
MOST_INSTANCES = 10_000
MOST_LEVELS = 50

Overrides: TypeAlias = Mapping[str, Mapping[str, Any]]  # node, then field, to value


@dataclass(slots=True)
class Scope:
    """A graph in its place: the whole workflow, or what one subgraph node stands for.

    `wires` has, for each input of the subgraph, the link that feeds it in the scope above. `promoted` has the
    values that fields of the subgraph's node have for its inputs, `overrides` for fields of inner nodes.
    """

    graph: UiGraph
    prefix: str = ""
    level: int = 0
    parent: Scope | None = None
    inside: frozenset[str] = frozenset()
    wires: tuple[str | None, ...] = ()
    promoted: Mapping[int, Any] = field(default_factory=dict)
    overrides: Overrides = field(default_factory=dict)
    children: dict[str, tuple[Scope, Subgraph]] = field(default_factory=dict)

    def full_id(self, node: UiNode) -> str:
        """The id of a node in API form."""
        return f"{self.prefix}{node.id}"


def unfold(document: UiDocument, interfaces: Interfaces, name: str) -> list[Scope]:
    """Every scope of a workflow, the outermost first.

    Raises `WorkflowError` for a subgraph that contains itself, and for subgraphs that multiply without end.
    """
    return _Unfolding(document, interfaces, name).scopes()


class _Unfolding:
    def __init__(self, document: UiDocument, interfaces: Interfaces, name: str) -> None:
        self._document = document
        self._interfaces = interfaces
        self._name = name
        self._groups: dict[str, Group] = {}

    def scopes(self) -> list[Scope]:
        root = Scope(self._document.graph)
        scopes = [root]
        nodes = 0
        for scope in scopes:  # grows while it is walked
            nodes += len(scope.graph.nodes)
            if nodes > MOST_NODES or len(scopes) > MOST_INSTANCES:
                raise WorkflowError(f"{self._name}: its subgraphs unfold to more nodes than can be run")
            for node in scope.graph.nodes.values():
                if node.mode not in (NEVER, BYPASS):
                    scopes.extend(self._enter(scope, node))
        return scopes

    def _enter(self, scope: Scope, node: UiNode) -> Iterator[Scope]:
        """The scope of a subgraph's or a group's node; none for other nodes."""
        subgraph = self._document.subgraphs.get(node.type)
        group = None if subgraph else self._group(node.type)
        subgraph = group.subgraph if group else subgraph
        if subgraph is None:
            return
        if subgraph.id in scope.inside or scope.level >= MOST_LEVELS:
            what = "contains itself" if subgraph.id in scope.inside else f"is nested {MOST_LEVELS} deep"
            raise WorkflowError(f"{self._name}: the subgraph {subgraph.name or subgraph.id!r} {what}")
        above = scope.overrides.get(node.id, {})
        promoted, overrides = _group_values(node, group) if group else _values(node, subgraph, above)
        child = Scope(
            subgraph.graph,
            f"{scope.full_id(node)}:",
            scope.level + 1,
            scope,
            scope.inside | {subgraph.id},
            _wires(node, subgraph),
            promoted,
            overrides,
        )
        scope.children[node.id] = (child, subgraph)
        yield child

    def _group(self, kind: str) -> Group | None:
        group = group_of(kind, self._document.groups)
        if group is not None and kind not in self._groups:
            self._groups[kind] = as_subgraph(kind, group, self._interfaces, self._name)
        return self._groups.get(kind)


def _wires(node: UiNode, subgraph: Subgraph) -> tuple[str | None, ...]:
    """Links into a subgraph's node in the order of the subgraph's inputs: by name, or else by place."""
    by_name = {slot.name: slot.link for slot in node.inputs}
    ours = [slot.link for slot in node.inputs if slot.widget is None]
    theirs = [place for place, slot in enumerate(subgraph.inputs) if slot.widget is None]
    by_place = dict(zip(theirs, ours, strict=True)) if len(ours) == len(theirs) else {}
    return tuple(by_name.get(slot.name, by_place.get(place)) for place, slot in enumerate(subgraph.inputs))


def _values(node: UiNode, subgraph: Subgraph, above: Mapping[str, Any]) -> tuple[dict[int, Any], Overrides]:
    """Values of the fields of a subgraph's node: for its inputs by place, and for fields of inner nodes.

    `properties.proxyWidgets` says which field each value is for, `-1` standing for the subgraph's own inputs.
    Without it the values are those of the inputs that have a field, in their order. No value, or null, means
    that what the inner node has holds. `above` are values that the scope above has for these fields.
    """
    places = {slot.name: place for place, slot in enumerate(subgraph.inputs)}
    proxies = node.properties.get("proxyWidgets")
    values = node.values if isinstance(node.values, list) else []
    promoted: dict[int, Any] = {}
    overrides: dict[str, dict[str, Any]] = {}
    if node.named:
        promoted = {places[name]: value for name, value in node.named.items() if name in places}
    elif isinstance(proxies, list):
        for entry, value in zip(proxies, values, strict=False):
            if isinstance(entry, list) and len(entry) >= 2 and value is not None:
                inner, name = str(entry[0]), text(entry[1])
                if inner != "-1":
                    overrides.setdefault(inner, {})[name] = value
                elif name in places:
                    promoted[places[name]] = value
    else:
        shown = list(_with_field(node, subgraph))
        if len(shown) == len(values):
            promoted = dict(zip(shown, values, strict=True))
    promoted |= {places[name]: value for name, value in above.items() if name in places}
    return promoted, overrides


def _with_field(node: UiNode, subgraph: Subgraph) -> Iterator[int]:
    """Places of the subgraph's inputs that stand for a field of a node inside it."""
    fed = {link for inner in subgraph.graph.nodes.values() for link in _widget_links(inner)}
    places = {
        link.slot for key, link in subgraph.graph.links.items() if link.origin == BORDER_IN and key in fed
    }
    shown = {slot.name for slot in node.inputs if slot.widget}
    for place, slot in enumerate(subgraph.inputs):
        if place in places or slot.name in shown:
            yield place


def _widget_links(node: UiNode) -> Iterator[str]:
    return (slot.link for slot in node.inputs if slot.widget and slot.link is not None)


def _group_values(node: UiNode, group: Group) -> tuple[dict[int, Any], Overrides]:
    """Values of a group's node, which are those of the fields of its inner nodes in their order."""
    values = node.values if isinstance(node.values, list) else []
    entries = in_order([shown.entry for shown in group.fields], values)
    overrides: dict[str, dict[str, Any]] = {}
    for shown, entry in zip(group.fields, entries, strict=False):
        if entry.saved:
            overrides.setdefault(shown.node, {})[shown.entry.name] = entry.value
    return {}, overrides
