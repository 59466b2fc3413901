"""From the UI form, which the front end saves, to the API form, which runs.

The front end does this when a workflow is queued, so it has to be done here for a workflow that never sees a
browser: name the values of fields, see through reroutes, primitives, bypassed nodes, groups and subgraphs,
and leave out notes and muted nodes.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from comfykit.engine.graph import LITERAL, is_link
from comfykit.engine.validate import Problem
from comfykit.errors import WorkflowError
from comfykit.workflow.document import BYPASS, NEVER, Slot, UiNode, parse, text
from comfykit.workflow.flatten import Scope, unfold
from comfykit.workflow.interface import ClassInterface, Interfaces
from comfykit.workflow.replace import choose, fill_in_name
from comfykit.workflow.widgets import name_values
from comfykit.workflow.wiring import FRONT_END_ONLY, Constant, Nothing, Output, Wiring

MOST_NAMED = 10
_SUBGRAPH = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|workflow[>/].*", re.IGNORECASE | re.DOTALL)
PREFIX = "filename_prefix"

Prompt = dict[str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Converted:
    """The API form; `problems` are what could not be carried over, `warnings` what is odd."""

    prompt: Prompt
    problems: tuple[Problem, ...] = ()
    warnings: tuple[str, ...] = ()


def convert(
    document: Mapping[str, Any], interfaces: Interfaces, name: str, now: datetime | None = None
) -> Converted:
    """The API form of a workflow in UI form.

    `interfaces` name the values of nodes; a class that has none there is a problem, unless the file names its
    values. `now` is what dates in file names say. Choices in prompts (`{day|night}`) are drawn from the text
    itself, so that a file always gives the same. Raises `WorkflowError` for a file that is damaged.
    """
    return _Conversion(document, interfaces, name, now or datetime.now()).run()


@dataclass(slots=True)
class _Made:
    """A node in the making; `lost` has the inputs whose source is muted."""

    node: UiNode
    interface: ClassInterface | None
    inputs: dict[str, Any]
    stored: dict[str, Any]
    lost: set[str] = field(default_factory=set)

    def needs(self, name: str) -> bool:
        """Whether the node cannot run without this input."""
        for entry in self.interface.inputs if self.interface else ():
            if entry.name == name:
                return entry.required
        return not any(slot.optional for slot in self.node.inputs if slot.name == name)


class _Conversion:
    def __init__(self, document: Mapping[str, Any], interfaces: Interfaces, name: str, now: datetime) -> None:
        self._interfaces = interfaces
        self._name = name
        self._now = now
        self._scopes = unfold(parse(document, name), interfaces, name)
        self._wiring = Wiring(self._scopes, self._runs)
        self._made: dict[str, _Made] = {}
        self._unknown: set[str] = set()
        self._unnamed: dict[str, list[tuple[str, UiNode, int]]] = {}
        self._warnings: list[str] = []

    def run(self) -> Converted:
        for scope in self._scopes:
            for node in scope.graph.nodes.values():
                if node.mode not in (NEVER, BYPASS) and node.id not in scope.children and self._runs(node):
                    self._make(scope, node)
        self._drop_what_needs_muted_nodes()
        self._replace_in_texts()
        prompt = {key: self._entry(self._made[key]) for key in sorted(self._made, key=self._place)}
        if self._unknown:
            named = ", ".join(sorted(self._unknown))
            self._warnings.append(f"inputs of classes that are not known are named as the file does: {named}")
        return Converted(prompt, tuple(self._problems()), tuple(self._warnings))

    def _runs(self, node: UiNode) -> bool:
        """Whether a node exists outside of the front end; a pack may have a class of such a name."""
        if node.type in self._interfaces:
            return True
        return node.type not in FRONT_END_ONLY and bool(node.inputs or node.outputs or node.values)

    def _place(self, key: str) -> tuple[bool, int, int]:
        """Nodes of the workflow itself by id, as in the front end's own API form, then the others."""
        plain = key.isascii() and key.isdigit()
        return not plain, int(key) if plain and len(key) < 20 else 0, self._made[key].node.order

    def _make(self, scope: Scope, node: UiNode) -> None:
        key = scope.full_id(node)
        if key in self._made:
            raise WorkflowError(f"{self._name}: two nodes have the id {key}")
        interface = self._interfaces.get(node.type)
        named = name_values(node, interface)
        values = {**named.values, **scope.overrides.get(node.id, {})}
        made = _Made(node, interface, {name: _wrapped(value) for name, value in values.items()}, values)
        if named.unnamed:
            self._unnamed.setdefault(node.type, []).append((key, node, named.unnamed))
        elif interface is None:
            self._unknown.add(node.type)
        for slot in node.inputs:
            if slot.link is not None and slot.name:
                self._link(scope, made, slot)
        self._made[key] = made

    def _problems(self) -> Iterator[Problem]:
        """One for each class whose values found no names; that it is not there is said by validation."""
        for kind, nodes in self._unnamed.items():
            key, node, _ = nodes[0]
            lost = sum(count for _, _, count in nodes)
            others = f" (and of {len(nodes) - 1} more nodes)" if len(nodes) > 1 else ""
            why = f"the interface of {kind!r} is not known"
            if _SUBGRAPH.fullmatch(kind):
                why = "the subgraph it stands for is not in the file"
            yield Problem(
                "unnamed_values",
                f"{why}, so {lost} values of its fields{others} are given to no input",
                key,
                kind,
                node.title,
                hint="give interfaces with --object-info, as a ComfyUI that has the class answers",
            )

    def _link(self, scope: Scope, made: _Made, slot: Slot) -> None:
        source = self._wiring.source(scope, slot.link)
        if isinstance(source, Output):
            made.inputs[slot.name] = [source.node, source.slot]
        elif isinstance(source, Constant):
            made.inputs[slot.name] = _wrapped(source.value)
            made.stored[slot.name] = source.value
        elif source is Nothing.MUTED:
            made.inputs.pop(slot.name, None)
            made.lost.add(slot.name)
        elif source is Nothing.BROKEN or (source is not Nothing.UNLINKED and made.needs(slot.name)):
            kept = ", so the value of its field holds" if slot.name in made.inputs else ""
            where = f"node {scope.full_id(made.node)} ({made.node.type}), input {slot.name!r}"
            self._warnings.append(f"{where}: {source.value}{kept}")

    def _drop_what_needs_muted_nodes(self) -> None:
        """Leave out nodes that miss an input they need, and then those that need what these would make."""
        users: dict[str, list[tuple[str, str]]] = {}
        for key, made in self._made.items():
            for name, value in made.inputs.items():
                if is_link(value):
                    users.setdefault(value[0], []).append((key, name))
        waiting = [key for key, made in self._made.items() if any(map(made.needs, made.lost))]
        dropped: dict[str, str] = {}
        while waiting:
            key = waiting.pop()
            gone = self._made.pop(key, None)
            if gone is None:
                continue
            dropped[key] = gone.node.type
            for user, name in users.get(key, ()):
                left = self._made.get(user)
                if left is not None:
                    left.inputs.pop(name, None)
                    if left.needs(name):
                        waiting.append(user)
        if dropped:
            shown = ", ".join(f"{key} ({kind})" for key, kind in list(dropped.items())[:MOST_NAMED])
            more = f" and {len(dropped) - MOST_NAMED} more" if len(dropped) > MOST_NAMED else ""
            self._warnings.append(f"left out, as they need what a muted node would make: {shown}{more}")

    def _replace_in_texts(self) -> None:
        for made in self._made.values():
            for entry in made.interface.inputs if made.interface else ():
                value = made.inputs.get(entry.name)
                if entry.dynamic_prompts and isinstance(value, str):
                    made.inputs[entry.name] = choose(value, random.Random(value))
        values: dict[str, dict[str, Any]] | None = None
        for made in self._made.values():
            prefix = made.inputs.get(PREFIX)
            if isinstance(prefix, str) and "%" in prefix:
                values = dict(self._by_name()) if values is None else values
                made.inputs[PREFIX] = fill_in_name(prefix, _lookup(values), self._now)

    def _by_name(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Values of nodes by the name they are called in file names; of several the first counts."""
        for called in (self._title, lambda made: text(made.node.properties.get("Node name for S&R"))):
            for made in reversed(self._made.values()):
                if name := called(made):
                    yield name, made.stored

    def _title(self, made: _Made) -> str:
        return made.node.title or (made.interface.title if made.interface else "") or made.node.type

    def _entry(self, made: _Made) -> dict[str, Any]:
        return {"inputs": made.inputs, "class_type": made.node.type, "_meta": {"title": self._title(made)}}


def _lookup(values: Mapping[str, Mapping[str, Any]]) -> Any:
    def value_of(node: str, name: str) -> object:
        found = values.get(node, {}).get(name)
        return found if isinstance(found, str | int | float) else None

    return value_of


def _wrapped(value: Any) -> Any:
    """A list is wrapped, as a bare one may be taken for a link."""
    return {LITERAL: value} if isinstance(value, list) else value
