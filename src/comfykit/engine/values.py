"""What a node may return besides plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class ExecutionBlocker:
    """A value that stops what depends on it; with a message, that is said once as an error."""

    message: str | None = None


@dataclass(frozen=True, slots=True)
class NodeOutput:
    """The long form of a result.

    `ui` is what a front end is shown ({"images": [...]}), `result` the values of the outputs, and
    `expand` a graph in API form that takes the node's place, to which `result` may link.
    """

    result: tuple[Any, ...] | ExecutionBlocker | None = None
    ui: Mapping[str, list[Any]] = field(default_factory=dict)
    expand: Mapping[str, Mapping[str, Any]] | None = None
