"""What every hub answers about itself; a hub is a site that models are fetched from."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlsplit

# Asks an address of a hub's interface and gives the JSON that came back; raises `TransferError`.
Ask = Callable[[str], object]

_SHA256 = re.compile(r"[0-9a-fA-F]{64}")


@dataclass(frozen=True, slots=True)
class Announced:
    """What a hub's interface says of a file; None for what it does not say. `size` in bytes."""

    name: str | None = None
    size: int | None = None
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """A 401 or 403, or a page (status 200) where a file should be.

    `code` is the X-Error-Code header, `token_from` where the token that was sent stood.
    """

    url: str
    status: int
    code: str = ""
    token_from: str | None = None


class Hub(Protocol):
    """Knowledge of one site; nothing here makes a request but through an `Ask` that is passed in."""

    @property
    def name(self) -> str:
        """What people call it."""

    @property
    def hosts(self) -> frozenset[str]:
        """Host names that are this hub."""

    def address(self, text: str) -> str | None:
        """The address of the file that a short form or a page means; None where it is not of this hub.

        Raises `ValueError` with a sentence for one that names no file.
        """

    def hint(self, refusal: Refusal) -> str | None:
        """What a person can do about a refusal."""

    def question(self, url: str) -> str | None:
        """The address of the interface that knows the file's size and hash; None where there is none."""

    def answer(self, url: str, document: object) -> Announced | None:
        """What the JSON at `question(url)` says of the file; None where it says nothing of it."""


def parts_of(url: str, hosts: frozenset[str]) -> list[str] | None:
    """Parts of an address's path where its host is one of `hosts`, still quoted; None elsewhere."""
    split = urlsplit(url)
    if split.scheme not in ("http", "https") or (split.hostname or "").lower() not in hosts:
        return None
    return [part for part in split.path.split("/") if part]


def sha256_of(value: object) -> str | None:
    """A SHA-256 in lower case, if the value is one."""
    return value.lower() if isinstance(value, str) and _SHA256.fullmatch(value) else None


def size_of(value: object) -> int | None:
    """A number of bytes, if the value is one."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


def tables(value: object) -> list[dict[str, object]]:
    """The objects of a JSON list; an empty list for anything else."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def table(value: object) -> dict[str, object]:
    """A JSON object; an empty one for anything else."""
    return value if isinstance(value, dict) else {}
