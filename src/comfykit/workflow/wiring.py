"""What an input is fed by, once everything that never runs is seen through: reroutes, primitives, bypassed
and muted nodes, and the borders of subgraphs.

The walk is iterative and remembers what it found, as chains of reroutes may be long and files may be made to
hurt.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeAlias

from comfykit.engine.schema import types_match
from comfykit.workflow.document import (
    ANY,
    BORDER_IN,
    BORDER_OUT,
    BYPASS,
    NEVER,
    Slot,
    Subgraph,
    UiGraph,
    UiLink,
    UiNode,
    mapping,
    text,
)
from comfykit.workflow.flatten import Scope
from comfykit.workflow.groups import PRIMITIVE

REROUTES = frozenset({"Reroute", "Reroute (rgthree)"})
SETTER, GETTER = "SetNode", "GetNode"
# Nodes that exist in the front end alone and change nothing that runs.
DECORATION = frozenset(
    {
        "Bookmark (rgthree)",
        "Fast Actions Button (rgthree)",
        "Fast Bypasser (rgthree)",
        "Fast Groups Bypasser (rgthree)",
        "Fast Groups Muter (rgthree)",
        "Fast Muter (rgthree)",
        "Label (rgthree)",
        "MarkdownNote",
        "Mute / Bypass Relay (rgthree)",
        "Mute / Bypass Repeater (rgthree)",
        "Note",
    }
)
FRONT_END_ONLY = REROUTES | DECORATION | {PRIMITIVE.name, SETTER, GETTER}


class Nothing(Enum):
    """Why an input is fed by no node."""

    UNLINKED = "nothing is linked to it"
    BROKEN = "its link leads to a node or an output that is not there"
    MUTED = "what feeds it is muted"
    BLOCKED = "a bypassed node has no input to pass on to it"
    LOOP = "its link leads round in a circle of nodes that never run"


@dataclass(frozen=True, slots=True)
class Output:
    """Output `slot` of the node `node`."""

    node: str
    slot: int


@dataclass(frozen=True, slots=True)
class Constant:
    """A value that a primitive node, or a field of a subgraph's node, gives."""

    value: Any


Source: TypeAlias = Output | Constant | Nothing
Step: TypeAlias = tuple[Scope, str, int]


class Wiring:
    """Answers what feeds an input."""

    def __init__(self, scopes: list[Scope], runs: Callable[[UiNode], bool]) -> None:
        """`runs` says of a node whether it exists outside of the front end."""
        self._runs = runs
        self._known: dict[tuple[int, str, int], Source] = {}
        self._border = {id(scope): _border_links(scope.graph) for scope in scopes}
        self._set = {
            (id(scope), _variable(node)): node
            for scope in scopes
            for node in scope.graph.nodes.values()
            if node.type == SETTER and not runs(node)
        }

    def source(self, scope: Scope, link: str | None) -> Source:
        """What the link with this id brings, seen from the input it leads to."""
        step = _follow(scope, link)
        passed: list[tuple[int, str, int]] = []
        met: set[tuple[int, str, int]] = set()
        while not isinstance(step, Output | Constant | Nothing):
            key = (id(step[0]), step[1], step[2])
            if key in met:
                step = Nothing.LOOP
                break
            if key in self._known:
                step = self._known[key]
                break
            met.add(key)
            passed.append(key)
            step = self._next(*step)
        self._known.update(dict.fromkeys(passed, step))
        return step

    def _next(self, scope: Scope, origin: str, slot: int) -> Source | Step:
        """One step from an output towards the node that makes what it gives."""
        if origin == BORDER_IN:
            return self._from_above(scope, slot)
        node = scope.graph.nodes.get(origin)
        if node is None or node.mode == NEVER:
            return Nothing.BROKEN if node is None else Nothing.MUTED
        if node.mode == BYPASS:
            return _bypassed(scope, node, slot)
        if origin in scope.children:
            return self._from_below(node, *scope.children[origin], slot)
        if self._runs(node):
            return Output(scope.full_id(node), slot)
        return self._through(scope, node)

    def _through(self, scope: Scope, node: UiNode) -> Source | Step:
        """What a node of the front end gives."""
        if node.type == PRIMITIVE.name:
            value = scope.overrides.get(node.id, {}).get("value", _only_value(node, "value"))
            return Nothing.UNLINKED if value is None else Constant(value)
        if node.type == GETTER:
            return self._variable(scope, node)
        if node.type in REROUTES or node.type == SETTER:
            return _follow(scope, node.inputs[0].link if node.inputs else None)
        return Nothing.BROKEN

    def _variable(self, scope: Scope, node: UiNode) -> Source | Step:
        """What was put under the name that a getter asks for, here or in a scope above."""
        above: Scope | None = scope
        while above is not None:
            setter = self._set.get((id(above), _variable(node)))
            if setter is not None:
                return Nothing.MUTED if setter.mode == NEVER else self._through(above, setter)
            above = above.parent
        return Nothing.BROKEN

    def _from_above(self, scope: Scope, slot: int) -> Source | Step:
        wire = scope.wires[slot] if 0 <= slot < len(scope.wires) else None
        if wire is not None and scope.parent is not None:
            return _follow(scope.parent, wire)
        value = scope.promoted.get(slot)
        return Nothing.UNLINKED if value is None else Constant(value)

    def _from_below(self, node: UiNode, child: Scope, subgraph: Subgraph, slot: int) -> Source | Step:
        name = node.outputs[slot].name if 0 <= slot < len(node.outputs) else ""
        places = [place for place, output in enumerate(subgraph.outputs) if output.name == name]
        link = self._border[id(child)].get(places[0] if len(places) == 1 else slot)
        return Nothing.BROKEN if link is None else (child, link.origin, link.slot)


def _border_links(graph: UiGraph) -> dict[int, UiLink]:
    """Links that leave a subgraph, by the output they lead to."""
    return {link.target_slot: link for link in graph.links.values() if link.target == BORDER_OUT}


def _follow(scope: Scope, key: str | None) -> Source | Step:
    if key is None:
        return Nothing.UNLINKED
    link = scope.graph.links.get(key)
    return Nothing.BROKEN if link is None else (scope, link.origin, link.slot)


def _bypassed(scope: Scope, node: UiNode, slot: int) -> Source | Step:
    """What a bypassed node passes on as output `slot`: its input of the same place if that has the type, else
    the first that has, else the first that may be linked to it.
    """
    wanted = node.outputs[slot].type if 0 <= slot < len(node.outputs) else ANY
    same = node.inputs[slot : slot + 1] if slot >= 0 else ()
    order: tuple[Slot, ...] = (*same, *node.inputs)
    exact = (entry for entry in order if entry.type == wanted)
    fitting = (entry for entry in order if types_match(entry.type, wanted))
    chosen = next(exact, None) or next(fitting, None)
    return Nothing.BLOCKED if chosen is None or chosen.link is None else _follow(scope, chosen.link)


def _variable(node: UiNode) -> str:
    """The name that a setter or getter has in its only field."""
    return text(_only_value(node, "Constant"))


def _only_value(node: UiNode, name: str) -> Any:
    """The value of the first field of a node, or None."""
    if isinstance(node.values, list):
        return node.values[0] if node.values else None
    return mapping(node.values).get(name)
