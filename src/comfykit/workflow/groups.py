"""Group nodes, which front ends made before there were subgraphs, as subgraphs.

`extra.groupNodes` has, by name, the nodes of a group (each known by its `index`), the links between them as
`[origin, slot, target, slot, ...]`, outputs that are shown although something inside takes them (`external`),
and names that were changed (`config`). A node of the group shows the unlinked inputs of all its nodes, and
their fields one after the other.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from comfykit.workflow.document import (
    BORDER_IN,
    BORDER_OUT,
    Slot,
    Subgraph,
    UiGraph,
    UiLink,
    UiNode,
    mapping,
    mappings,
    parse_node,
    text,
    whole,
)
from comfykit.workflow.interface import ClassInterface, InputInterface, Interfaces

PREFIXES = ("workflow>", "workflow/")
# A primitive has one field, and a further one for what becomes of its value.
PRIMITIVE = ClassInterface(
    "PrimitiveNode", "Primitive", (InputInterface("value", "*", widget=True, control=True),)
)


def group_of(kind: str, groups: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The group that a node of type `workflow>NAME` is one of."""
    name = next((kind.removeprefix(prefix) for prefix in PREFIXES if kind.startswith(prefix)), None)
    return None if name is None else groups.get(name)


@dataclasses.dataclass(frozen=True, slots=True)
class GroupField:
    """A field that a group's node shows: that of an input of one of its nodes."""

    node: str
    entry: InputInterface


@dataclasses.dataclass(frozen=True, slots=True)
class Group:
    """A group as a subgraph. Its inputs are first sockets, then one for every field, as `fields` has them."""

    subgraph: Subgraph
    fields: tuple[GroupField, ...]


def as_subgraph(kind: str, group: Mapping[str, Any], interfaces: Interfaces, name: str) -> Group:
    """The group of a node of type `kind`; raises `WorkflowError` where one of its nodes has no type."""
    raw = mappings(group.get("nodes"))
    keys = [str(whole(entry.get("index", place))) for place, entry in enumerate(raw)]
    nodes = {key: parse_node(entry, name, key) for key, entry in zip(keys, raw, strict=True)}
    return _Wiring(nodes, group, interfaces).finish(kind)


class _Wiring:
    """Gives the inputs of a group's nodes the links they have."""

    def __init__(self, nodes: dict[str, UiNode], group: Mapping[str, Any], interfaces: Interfaces) -> None:
        self._nodes = nodes
        self._interfaces = interfaces
        self._config = mapping(group.get("config"))
        self._inner = dict(_inner_links(group.get("links")))
        self._shown = {_end(entry) for entry in _lists(group.get("external"))}
        self._links: dict[str, UiLink] = {}
        self._inputs: list[Slot] = []

    def finish(self, kind: str) -> Group:
        wired = {key: self._sockets(node) for key, node in self._nodes.items()}
        fields = tuple(GroupField(key, entry) for key, node in wired.items() for entry in self._fields(node))
        for field in fields:
            wired[field.node] = self._with_field(wired[field.node], field.entry)
        outputs = tuple(self._outputs(wired))
        graph = UiGraph(wired, self._links)
        return Group(Subgraph(kind, kind, graph, tuple(self._inputs), outputs), fields)

    def _sockets(self, node: UiNode) -> UiNode:
        """The node with its inner links, and a link from outside for every other socket that is shown."""
        slots = []
        for place, slot in enumerate(node.inputs):
            inner = self._inner.get((node.id, place))
            link = None
            if inner is not None:
                link = self._link(*inner, node.id, place)
            elif slot.widget is None and self._visible(node.id, "input", slot.name):
                link = self._link(BORDER_IN, len(self._inputs), node.id, place)
                self._inputs.append(dataclasses.replace(slot, name=self._name(node.id, slot.name), link=None))
            slots.append(dataclasses.replace(slot, link=link))
        return dataclasses.replace(node, inputs=tuple(slots))

    def _fields(self, node: UiNode) -> list[InputInterface]:
        """The fields of a node that are shown on the group: those that nothing inside is linked to."""
        interface = PRIMITIVE if node.type == PRIMITIVE.name else self._interfaces.get(node.type)
        linked = {slot.name for slot in node.inputs if slot.link is not None}
        return [
            entry
            for entry in (interface.inputs if interface else ())
            if entry.widget and entry.name not in linked and self._visible(node.id, "input", entry.name)
        ]

    def _with_field(self, node: UiNode, entry: InputInterface) -> UiNode:
        kept = tuple(slot for slot in node.inputs if slot.name != entry.name)
        link = self._link(BORDER_IN, len(self._inputs), node.id, len(kept))
        shown = self._name(node.id, entry.name)
        self._inputs.append(Slot(shown, entry.type, widget=shown))
        return dataclasses.replace(node, inputs=(*kept, Slot(entry.name, entry.type, link, entry.name)))

    def _outputs(self, nodes: Mapping[str, UiNode]) -> list[Slot]:
        taken = {(origin, slot) for origin, slot in self._inner.values()}
        shown: list[Slot] = []
        for node in nodes.values():
            for place, slot in enumerate(node.outputs):
                end = (node.id, place)
                if (end in taken and end not in self._shown) or not self._visible(
                    node.id, "output", str(place)
                ):
                    continue
                self._link(node.id, place, BORDER_OUT, len(shown))
                shown.append(slot)
        return shown

    def _link(self, origin: str, slot: int, target: str, target_slot: int) -> str:
        key = str(len(self._links))
        self._links[key] = UiLink(origin, slot, target, target_slot)
        return key

    def _setting(self, node: str, part: str, name: str) -> Mapping[str, Any]:
        return mapping(mapping(mapping(self._config.get(node)).get(part)).get(name))

    def _visible(self, node: str, part: str, name: str) -> bool:
        return self._setting(node, part, name).get("visible") is not False

    def _name(self, node: str, name: str) -> str:
        return text(self._setting(node, "input", name).get("name")) or name


def _inner_links(value: Any) -> list[tuple[tuple[str, int], tuple[str, int]]]:
    """(target, its slot) and (origin, its slot) of every link between two nodes of the group."""
    found = []
    for entry in _lists(value):
        if len(entry) >= 4:
            origin, target = _end(entry), _end(entry[2:])
            if origin is not None and target is not None:
                found.append((target, origin))
    return found


def _end(entry: Sequence[Any]) -> tuple[str, int] | None:
    """(node, slot) of an end, which names the node by its index or holds it whole; None if it is outside."""
    node = entry[0].get("index") if entry and isinstance(entry[0], dict) else entry[0] if entry else None
    if not isinstance(node, int) or isinstance(node, bool):
        return None
    return str(node), whole(entry[1]) if len(entry) > 1 else 0


def _lists(value: Any) -> list[list[Any]]:
    return [entry for entry in value if isinstance(entry, list)] if isinstance(value, list) else []
