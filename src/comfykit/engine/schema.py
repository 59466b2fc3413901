"""What a node class takes and gives: the interface that validation, execution and documentation read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

COMBO = "COMBO"
WIDGET_TYPES = frozenset({"INT", "FLOAT", "STRING", "BOOLEAN", COMBO})


@dataclass(frozen=True, slots=True)
class Assembled:
    """A choice that several files make together: those of `folder` called `stems` and any suffix."""

    name: str
    folder: str
    stems: tuple[str, ...]

    def lacking(self, environment: Environment) -> list[str]:
        """The stems of the files that are not there."""
        there = {name.rpartition("/")[2].rpartition(".")[0] for name in environment.choices(self.folder)}
        return [stem for stem in self.stems if stem not in there]


@dataclass(frozen=True, slots=True)
class Listing:
    """Choices that depend on the machine: the files of `folder` ("models/vae", "input"), then others.

    `assembled` are offered where their files are there, `also` always.
    """

    folder: str
    also: tuple[str, ...] = ()
    assembled: tuple[Assembled, ...] = ()

    def names(self, environment: Environment) -> list[str]:
        """The choices on this machine."""
        whole = [choice.name for choice in self.assembled if not choice.lacking(environment)]
        return [*environment.choices(self.folder), *whole, *self.also]

    def missing(self, name: str, environment: Environment) -> Missing:
        """Why `name` is not among them."""
        parts = next((choice for choice in self.assembled if choice.name == name), None)
        if parts is None:
            return environment.missing(self.folder, name)
        files = " and ".join(parts.lacking(environment))
        return Missing(f"{name!r} is made of files that are not in {parts.folder}: {files}")


@dataclass(frozen=True, slots=True)
class Missing:
    """Why a file that an input names is not among its choices, for a person."""

    message: str
    hint: str | None = None


class Environment(Protocol):
    """What the engine asks of the machine."""

    def choices(self, folder: str) -> Sequence[str]:
        """Names of the files in a folder that a `Listing` names."""
        ...

    def missing(self, folder: str, name: str) -> Missing:
        """Why `name` is not there: where it was looked for, what is near, how to get it."""
        ...


@dataclass(frozen=True, slots=True)
class Input:
    """One input of a node class.

    `type` is a socket's type (`MODEL`, or several: `IMAGE,MASK`; `*` takes all) or a widget's
    (`INT`, `FLOAT`, `STRING`, `BOOLEAN`, `COMBO`). Bounds are inclusive.
    """

    type: str
    default: Any = None
    minimum: float | None = None
    maximum: float | None = None
    step: float | None = None
    choices: tuple[Any, ...] | Listing | None = None
    required: bool = True
    lazy: bool = False  # evaluated only when the node asks for it
    raw_link: bool = False  # the node gets the link itself, not what it leads to
    socket_only: bool = False  # takes no constant
    link_only: bool = False  # a constant may stand there, and the node does not get it
    options: Mapping[str, Any] = field(default_factory=dict, hash=False)  # what only a front end uses

    def allowed(self, environment: Environment) -> Sequence[Any] | None:
        """The choices of a combo on this machine; None for other types."""
        if isinstance(self.choices, Listing):
            return self.choices.names(environment)
        return self.choices


@dataclass(frozen=True, slots=True)
class OutputSlot:
    """One output; with `is_list` the node returns a list whose items go on one by one."""

    type: str
    name: str
    is_list: bool = False
    tooltip: str = ""


@dataclass(frozen=True, slots=True)
class Body:
    """A node ready to run: `run` takes inputs by name; `needed` names the lazy ones it wants next."""

    run: Callable[..., Any]
    needed: Callable[..., Sequence[str] | None] | None = None


@dataclass(frozen=True)
class NodeClass:
    """Everything the engine knows of a node class.

    `bind` is called once for a node of a workflow, so that a body may keep state between runs.
    `fingerprint` (IS_CHANGED) gets the constant inputs, None for linked ones; a new value means that
    the node must run again. `check` (VALIDATE_INPUTS) gets the constants it has parameters for and
    returns True or what is wrong; the inputs it names are exempt from range and choice checks.
    `hidden` maps a parameter to what the executor fills in: PROMPT, EXTRA_PNGINFO, UNIQUE_ID,
    DYNPROMPT, CONTEXT. A class whose outputs are not all listed says with `further_output` what the
    slots behind them are.
    """

    name: str
    bind: Callable[[], Body]
    inputs: Mapping[str, Input] = field(default_factory=dict)
    outputs: tuple[OutputSlot, ...] = ()
    hidden: Mapping[str, str] = field(default_factory=dict)
    title: str = ""
    category: str = ""
    description: str = ""
    output_node: bool = False
    input_is_list: bool = False
    not_idempotent: bool = False
    asynchronous: bool = False
    fingerprint: Callable[..., Any] | None = None
    check: Callable[..., Any] | None = None
    module: str = ""
    deprecated: bool = False
    experimental: bool = False
    further_output: Callable[[int], OutputSlot | None] | None = None

    def output(self, slot: int) -> OutputSlot | None:
        """The output of that number, None where there is none."""
        if 0 <= slot < len(self.outputs):
            return self.outputs[slot]
        return None if self.further_output is None or slot < 0 else self.further_output(slot)


def types_match(given: str, wanted: str) -> bool:
    """Whether an output of type `given` may feed an input of type `wanted`.

    Compared with `!=` first, because packs make a type that fits everything from a `str` whose `__ne__`
    says False; then as comma-separated sets that must overlap, `*` fitting all.
    """
    if not given != wanted:  # noqa: SIM202  (see above: `==` would ask another method)
        return True
    if "*" in (str(given), str(wanted)):
        return True
    ours = {part.strip() for part in str(given).split(",")}
    theirs = {part.strip() for part in str(wanted).split(",")}
    return bool(ours & theirs)
