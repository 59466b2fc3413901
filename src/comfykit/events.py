"""What happens while comfykit works, as values.

Code below `cli/` never prints. It reports events to a `Reporter`, any callable that takes one; the
default is `silent`. The terminal, the JSON lines and (later) the server are three reporters.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True, slots=True)
class Event:
    """Base of all events."""


@dataclass(frozen=True, slots=True)
class Warned(Event):
    """Something a person should know that stops nothing."""

    message: str
    hint: str | None = None


# Fetching files


@dataclass(frozen=True, slots=True)
class TransferStarted(Event):
    """Bytes of a file are about to arrive; `total` in bytes, None where the server does not say."""

    name: str
    url: str
    total: int | None


@dataclass(frozen=True, slots=True)
class TransferAdvanced(Event):
    """`done` bytes of the file are on the disk."""

    name: str
    done: int


@dataclass(frozen=True, slots=True)
class TransferEnded(Event):
    """The file is in place (`error` is None) or will not be."""

    name: str
    size: int
    error: str | None = None


# Custom-node packs


@dataclass(frozen=True, slots=True)
class PackStep(Event):
    """A step of a change of packs begins: `doing` says which; `pack` is "" for what concerns all of them."""

    pack: str
    doing: str


# Running a workflow


@dataclass(frozen=True, slots=True)
class RunStarted(Event):
    """A workflow begins; `nodes` counts those that an output needs."""

    workflow: str
    nodes: int


@dataclass(frozen=True, slots=True)
class NodeStarted(Event):
    """A node is about to run."""

    node: str
    class_type: str
    title: str


@dataclass(frozen=True, slots=True)
class NodeEnded(Event):
    """A node has its outputs, from this run or, when `cached`, from an earlier one."""

    node: str
    class_type: str
    title: str
    cached: bool
    seconds: float


@dataclass(frozen=True, slots=True)
class NodeProgress(Event):
    """A node has done `value` of `total` steps; `label` names the step ("step", "tile")."""

    node: str
    value: int
    total: int
    label: str = "step"


@dataclass(frozen=True, slots=True)
class NodePreview(Event):
    """What a node has so far, a few times a second; only where settings ask for previews.

    `picture` makes the picture, no side longer than the pixels it is given, and costs nothing until it is
    called. Call it while the event is handled: the latent that it shows stays in memory with it.
    """

    node: str
    picture: Callable[[int], Image]


@dataclass(frozen=True, slots=True)
class NodeBlocked(Event):
    """A node was skipped because what feeds it was blocked with a message."""

    node: str
    class_type: str
    title: str
    message: str


@dataclass(frozen=True, slots=True)
class OutputSaved(Event):
    """An output node showed or wrote something; `ui` is what ComfyUI's front end would be sent."""

    node: str
    class_type: str
    ui: dict[str, list[object]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NodeMessage(Event):
    """A custom node told a front end of its own something; what it means, only that front end knows."""

    node: str
    kind: str
    data: object


# Starting a container


@dataclass(frozen=True, slots=True)
class StepStarted(Event):
    """A step before the command begins: `doctor`, `models` or `nodes`; `subject` is the list it reads."""

    step: str
    subject: str = ""


@dataclass(frozen=True, slots=True)
class StepEnded(Event):
    """A step has ended with an exit code; nothing but an interrupt keeps the next one from starting."""

    step: str
    subject: str
    code: int


Reporter: TypeAlias = Callable[[Event], None]


def silent(event: Event) -> None:
    """The default reporter: says nothing."""
