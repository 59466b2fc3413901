"""One node after another: what is wrong with its inputs, and its constants cast to their types.

Nearly all inputs are sound, and a look that costs little says so; only doubtful ones are gone into. What
a wrong name was meant as is guessed for the first few only.
"""

from __future__ import annotations

import dataclasses
import difflib
import inspect
import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from comfykit.engine.graph import LITERAL, Graph, Node, is_link
from comfykit.engine.registry import Registry
from comfykit.engine.schema import COMBO, Environment, Input, Listing, Missing, NodeClass, types_match

MOST_CHOICES_SHOWN = 20
# Guessing what a name was meant as takes milliseconds, and a broken file may have 100,000 wrong names.
MOST_GUESSED = 20
MOST_COMPARED = 2000
MOST_FILES_ASKED = 50
LONGEST_NAME = 200
CASTS: Mapping[str, type] = {"INT": int, "FLOAT": float, "STRING": str, "BOOLEAN": bool}


class Found(NamedTuple):
    """What is wrong with a node, before it is said of which."""

    type: str
    message: str
    input: str | None = None
    hint: str | None = None


class Inspector:
    """Checks nodes one by one; `graph` is the same graph with constants cast to their types."""

    def __init__(self, graph: Graph, registry: Registry, environment: Environment) -> None:
        self.graph = graph.copy()
        self._registry = registry
        self._environment = environment
        self._listed: dict[Listing, Sequence[Any]] = {}
        self._asked: dict[str, _Asked] = {}
        self._missing: dict[tuple[str, str], Missing] = {}
        self._guesses = 0

    def inspect(self, order: Sequence[str]) -> Iterator[tuple[Node, Found]]:
        """What is wrong with the nodes in `order`; those of unknown classes are passed over."""
        for key in order:
            node = self.graph[key]
            entry = self._registry.get(node.class_type)
            if entry is not None:
                for found in self._node(node, entry):
                    yield node, found

    def _node(self, node: Node, entry: NodeClass) -> Iterator[Found]:
        asked = self._asked.get(entry.name)
        if asked is None:
            asked = self._asked[entry.name] = _Asked.of(entry.check)
        doubtful = [
            name for name, spec in entry.inputs.items() if not self._is_sound(node.inputs.get(name), spec)
        ]
        inputs = dict(node.inputs) if doubtful or entry.check else {}
        clean = True
        for name in doubtful:
            for problem in self._input(node, inputs, name, entry.inputs[name], asked):
                clean = False
                yield problem
        if doubtful:
            self.graph.nodes[node.id] = dataclasses.replace(node, inputs=inputs)
        if entry.check is not None and clean:
            yield from self._custom(entry.check, asked, inputs)

    def _is_sound(self, value: Any, spec: Input) -> bool:
        """Whether an input is in its type and allowed, as nearly all are: a look that costs little."""
        if type(value) is list:
            return self._is_sound_link(value, spec)
        if spec.type == COMBO:
            return type(value) is str and not spec.socket_only and value in (self._allowed(spec) or ())
        if type(value) is not CASTS.get(spec.type) or spec.socket_only:
            return False
        if spec.minimum is None and spec.maximum is None:
            return value == value  # noqa: PLR0124  (NaN is not)
        number: Any = value
        least, most = spec.minimum, spec.maximum
        return (least is None or number >= least) and (most is None or number <= most)

    def _is_sound_link(self, link: list[Any], spec: Input) -> bool:
        if len(link) != 2 or type(link[0]) is not str or type(link[1]) is not int:
            return False
        source = self.graph.nodes.get(link[0])
        feeding = None if source is None else self._registry.get(source.class_type)
        return (
            feeding is not None
            and 0 <= link[1] < len(feeding.outputs)
            and feeding.outputs[link[1]].type == spec.type
        )

    def _input(
        self, node: Node, inputs: dict[str, Any], name: str, spec: Input, asked: _Asked
    ) -> Iterator[Found]:
        if name not in inputs:
            if spec.required:
                yield self._input_missing(node, name, spec, self._registry[node.class_type])
        elif is_link(inputs[name]):
            yield from self._link(inputs[name], name, spec, asked)
        else:
            yield from self._constant(inputs, name, spec, exempt=asked.names(name))

    def _link(self, link: Sequence[Any], name: str, spec: Input, asked: _Asked) -> Iterator[Found]:
        source, slot = link[0], link[1]
        if source not in self.graph:
            near = self._near(source, self.graph.nodes, 2)
            hint = f"did you mean {either(near)}?" if near else None
            yield Found(
                "bad_linked_input",
                f"input {name!r} is linked to node {shown(source)}, which is not there",
                input=name,
                hint=hint,
            )
            return
        feeding = self._registry.get(self.graph[source].class_type)
        if feeding is None:
            return  # said already: its class is not there
        output = feeding.output(int(slot)) if slot == int(slot) else None
        if output is None:
            yield Found(
                "bad_linked_input",
                f"input {name!r} is linked to output {slot} of node {source} ({feeding.name}), "
                f"which has {len(feeding.outputs)} outputs, counted from 0",
                input=name,
            )
            return
        given = output.type
        if not types_match(given, spec.type) and not asked.types:
            yield Found(
                "return_type_mismatch",
                f"input {name!r} takes {spec.type}, but is linked to {given} "
                f"of node {source} ({feeding.name})",
                input=name,
            )

    def _constant(self, inputs: dict[str, Any], name: str, spec: Input, *, exempt: bool) -> Iterator[Found]:
        value = inputs[name]
        if isinstance(value, dict) and LITERAL in value:
            value = inputs[name] = value[LITERAL]
        if spec.socket_only:
            yield Found(
                "invalid_input_type",
                f"input {name!r} takes a link to {spec.type}, not {shown(value)}",
                input=name,
            )
            return
        cast = CASTS.get(str(spec.type))
        if cast is not None:
            try:
                value = inputs[name] = cast(value)
                if isinstance(value, float) and math.isnan(value):  # no bound would stop it
                    raise ValueError
            except (TypeError, ValueError, OverflowError):
                yield Found(
                    "invalid_input_type", f"input {name!r} takes {spec.type}, not {shown(value)}", input=name
                )
                return
        if not exempt:
            yield from self._range(value, name, spec)
            yield from self._choice(value, name, spec)

    def _range(self, value: Any, name: str, spec: Input) -> Iterator[Found]:
        if spec.minimum is not None and value < spec.minimum:
            yield Found(
                "value_smaller_than_min",
                f"input {name!r} is {value}, the least is {spec.minimum}",
                input=name,
            )
        if spec.maximum is not None and value > spec.maximum:
            yield Found(
                "value_bigger_than_max", f"input {name!r} is {value}, the most is {spec.maximum}", input=name
            )

    def _choice(self, value: Any, name: str, spec: Input) -> Iterator[Found]:
        allowed = self._allowed(spec)
        if spec.type != COMBO or allowed is None:
            return
        chosen = value if isinstance(value, list) and _takes_several(spec) else [value]
        if all(not isinstance(one, list | dict) and one in allowed for one in chosen):
            return  # lists and dictionaries can be in no set of names
        if isinstance(spec.choices, Listing) and isinstance(value, str):
            missing = self._not_there(spec.choices, value)
        else:
            missing = self._not_in(value, allowed)
        yield Found("value_not_in_list", f"input {name!r}: {missing.message}", input=name, hint=missing.hint)

    def _not_there(self, listing: Listing, name: str) -> Missing:
        """Why a file is not there; folders are looked through for the first few only."""
        folder = listing.folder
        key = (folder, name)
        if key not in self._missing:
            if len(self._missing) >= MOST_FILES_ASKED or len(name) > LONGEST_NAME:
                return Missing(f"no {shown(name)} in {folder}")
            self._missing[key] = listing.missing(name, self._environment)
        return self._missing[key]

    def _not_in(self, value: Any, allowed: Sequence[Any]) -> Missing:
        near = self._near(str(value), [str(choice) for choice in allowed], 3, 0.5)
        if near:
            return Missing(f"{shown(value)} is not one of its choices", f"did you mean {either(near)}?")
        if len(allowed) > MOST_CHOICES_SHOWN:
            return Missing(f"{shown(value)} is not one of its {len(allowed)} choices")
        return Missing(f"{shown(value)} is not one of {', '.join(map(str, allowed))}")

    def _near(self, name: str, names: Iterable[str], count: int, cutoff: float = 0.6) -> list[str]:
        """Names that `name` may have been meant as; guesses for the first few only."""
        self._guesses += 1
        if self._guesses > MOST_GUESSED or len(name) > LONGEST_NAME:
            return []
        compared = [other for other in itertools.islice(names, MOST_COMPARED) if len(other) <= LONGEST_NAME]
        return difflib.get_close_matches(name, compared, n=count, cutoff=cutoff)

    def _input_missing(self, node: Node, name: str, spec: Input, entry: NodeClass) -> Found:
        unknown = [given for given in node.inputs if given not in entry.inputs]
        near = self._near(name, unknown, 1) if unknown else []
        hint = f"it is given {near[0]!r}, which it does not know" if near else None
        return Found(
            "required_input_missing", f"input {name!r} ({spec.type}) is missing", input=name, hint=hint
        )

    def _allowed(self, spec: Input) -> Sequence[Any] | None:
        """Folders are listed once for a workflow, however many nodes name their files."""
        if not isinstance(spec.choices, Listing):
            return spec.choices
        if spec.choices not in self._listed:
            self._listed[spec.choices] = frozenset(spec.allowed(self._environment) or ())  # type: ignore[assignment]
        return self._listed[spec.choices]

    def _type_of(self, link: Sequence[Any]) -> str:
        output = self._registry[self.graph[link[0]].class_type].output(int(link[1]))
        return "*" if output is None else output.type

    def _custom(self, check: Callable[..., Any], asked: _Asked, inputs: Mapping[str, Any]) -> Iterator[Found]:
        given = {
            name: None if is_link(value) else value for name, value in inputs.items() if asked.names(name)
        }
        if asked.types:
            given["input_types"] = {
                name: self._type_of(value) for name, value in inputs.items() if is_link(value)
            }
        try:
            answer = check(**given)
        except Exception as error:  # noqa: BLE001  (a stranger's code)
            yield Found("exception_during_validation", f"its check failed: {type(error).__name__}: {error}")
            return
        if answer is not True:
            said = f": {answer}" if isinstance(answer, str) else ""
            yield Found("custom_validation_failed", f"the node refuses its inputs{said}")


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a node's own check has parameters for."""

    parameters: frozenset[str] = frozenset()
    everything: bool = False

    @staticmethod
    def of(check: Callable[..., Any] | None) -> _Asked:
        if check is None:
            return _Asked()
        parameters = inspect.signature(check).parameters.values()
        return _Asked(
            frozenset(
                parameter.name for parameter in parameters if parameter.kind is not parameter.VAR_KEYWORD
            ),
            any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters),
        )

    def names(self, name: str) -> bool:
        """Whether the check looks at this input, which exempts it from range and choices."""
        return self.everything or name in self.parameters

    @property
    def types(self) -> bool:
        """Whether the check looks at the types of links itself."""
        return "input_types" in self.parameters


def _takes_several(spec: Input) -> bool:
    return bool(spec.options.get("multiselect") or spec.options.get("multi_select"))


def either(names: Sequence[str]) -> str:
    """Names as a question offers them: 'a' or 'b'."""
    return " or ".join(repr(name) for name in names)


def shown(value: Any) -> str:
    """A value in a sentence, cut where it is long."""
    said = repr(value)
    return said if len(said) <= 60 else f"{said[:57]}..."
