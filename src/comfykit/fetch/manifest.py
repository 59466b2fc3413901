"""Reads manifests from disk, the shipped lists or standard input, and joins them into one list."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from comfykit.errors import ManifestError, UsageError
from comfykit.fetch.catalog import shipped
from comfykit.fetch.entry import ManifestEntry, Problem
from comfykit.fetch.parse import parse

MAX_BYTES = 16 * 1024 * 1024
_SHOWN_PROBLEMS = 50


@dataclass(frozen=True, slots=True)
class Listing:
    """What one or several manifests ask for; every target once."""

    entries: tuple[ManifestEntry, ...]
    warnings: tuple[Problem, ...] = ()


def read_manifests(sources: Sequence[str], stdin: BinaryIO) -> Listing:
    """Entries of manifests: paths, names of lists that ship with comfykit, or `-` for `stdin`.

    Raises `UsageError` for a source that is not there and `ManifestError`, with every problem of
    every manifest, for one that cannot be read.
    """
    entries: list[ManifestEntry] = []
    problems: list[Problem] = []
    warnings: list[Problem] = []
    for source in dict.fromkeys(sources):
        name, data = _read(source, stdin)
        if len(data) > MAX_BYTES:
            problems.append(Problem(name, 0, f"more than {MAX_BYTES // 1024**2} MiB is no list of models"))
            continue
        parsed = parse(data, name)
        entries += parsed.entries
        problems += parsed.problems
        warnings += parsed.warnings
    joined, clashes = join(entries)
    if problems or clashes:
        raise manifest_error([*problems, *clashes])
    return Listing(tuple(joined), tuple(warnings))


def join(entries: Iterable[ManifestEntry]) -> tuple[list[ManifestEntry], list[Problem]]:
    """Entries with every target once, and the problems where two of them disagree about it.

    Names that differ only in case or in Unicode form are one target: many disks store them as one.
    A checksum or a size that only one of two equal entries has is kept.
    """
    joined: dict[str, ManifestEntry] = {}
    problems: list[Problem] = []
    for entry in entries:
        key = unicodedata.normalize("NFC", str(entry.target)).casefold()
        first = joined.setdefault(key, entry)
        if first is entry:
            continue
        difference = _difference(first, entry)
        if difference:
            problems.append(
                Problem(
                    entry.file,
                    entry.line,
                    f"{entry.path} is the target of {first.place} too, with {difference}",
                    "remove one of the two entries, or give them different names",
                )
            )
        else:
            joined[key] = replace(first, sha256=first.sha256 or entry.sha256, size=first.size or entry.size)
    return list(joined.values()), problems


def manifest_error(problems: Sequence[Problem]) -> ManifestError:
    """One error that says all problems, each on a line of its own."""
    lines = [str(problem) for problem in problems[:_SHOWN_PROBLEMS]]
    if len(problems) > len(lines):
        lines.append(f"and {len(problems) - len(lines)} more")
    if len(problems) > 1:
        lines.insert(0, f"{len(problems)} problems in the manifests")
    hints = list(dict.fromkeys(problem.hint for problem in problems if problem.hint))
    return ManifestError(
        "\n".join(lines),
        hint="; ".join(hints[:3]) or None,
        file=problems[0].file,
        line=problems[0].line,
        problems=tuple(problems),
    )


def _read(source: str, stdin: BinaryIO) -> tuple[str, bytes]:
    """Name and bytes of a manifest; reads one byte more than is allowed, never more."""
    if source == "-":
        return "standard input", stdin.read(MAX_BYTES + 1)
    path = Path(source)
    if not path.exists() and source in shipped():
        path = shipped()[source]
    try:
        with path.open("rb") as file:
            return source, file.read(MAX_BYTES + 1)
    except FileNotFoundError as error:
        raise UsageError(
            f"no manifest {source!r}", hint=f"lists that ship with comfykit: {', '.join(shipped())}"
        ) from error
    except OSError as error:
        raise UsageError(f"the manifest {source!r} cannot be read ({error.strerror})") from error


def _difference(first: ManifestEntry, second: ManifestEntry) -> str | None:
    """In what two entries of one target disagree."""
    if set(first.urls) != set(second.urls):
        return "other addresses"
    if first.sha256 and second.sha256 and first.sha256 != second.sha256:
        return "another checksum"
    if first.headers != second.headers or first.user_agent != second.user_agent:
        return "other headers"
    return None
