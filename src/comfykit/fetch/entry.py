"""What a manifest says, as values."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath


@dataclass(frozen=True, slots=True)
class ManifestEntry:
    """One file: where it can be had (`urls`, mirrors of each other) and where it belongs.

    `target` is relative to the home's `models/` and holds at least a kind and a name. `headers` are
    written for the origin of the first URL and sent to no other; `user_agent` goes everywhere.
    `file` and `line` say where the entry stands; `size` is in bytes, None where nobody says.
    """

    urls: tuple[str, ...]
    target: PurePosixPath
    file: str
    line: int
    sha256: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    user_agent: str | None = None
    size: int | None = None

    @property
    def kind(self) -> str:
        """The folder below `models/`, as the manifest spells it."""
        return self.target.parts[0]

    @property
    def name(self) -> str:
        """Path below the folder of the kind: what a workflow calls the model."""
        return "/".join(self.target.parts[1:])

    @property
    def path(self) -> str:
        """Path from the home, `models/<kind>/<name>`: what a person is shown."""
        return f"models/{self.target}"

    @property
    def place(self) -> str:
        """Where the entry stands, as `file:line`."""
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True)
class Problem:
    """A sentence about a line of a manifest; line 0 is the file as a whole."""

    file: str
    line: int
    message: str
    hint: str | None = None

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.message}"
