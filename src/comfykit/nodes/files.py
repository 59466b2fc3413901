"""Names of saved files: variables, sub-folders, counters, and files that appear whole or not at all.

A file is `{stem}_{counter:05}_{suffix}` below the output or temp folder; the counter is one above the
highest that any file of that stem in that folder has.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from comfykit.errors import UsageError
from comfykit.nodes.folders import inside

# File systems allow 255; the rest is for the counter, the suffix and the name of the partial file.
MAX_NAME_BYTES = 200
BATCH_NUMBER = "%batch_num%"


@dataclass(frozen=True, slots=True)
class Destination:
    """Where files of a prefix go: `root / subfolder / stem_...`; `subfolder` has `/` between parts."""

    root: Path
    subfolder: str
    stem: str

    @property
    def folder(self) -> Path:
        """The folder that the files lie in."""
        return self.root / self.subfolder

    def of_batch(self, number: int) -> str:
        """The stem of one picture of a batch, counted from 0."""
        return self.stem.replace(BATCH_NUMBER, str(number))


def destination(prefix: str, root: Path, *, width: int = 0, height: int = 0) -> Destination:
    """Where `filename_prefix` leads below `root`; its folder is made.

    Raises `UsageError` for a prefix that leaves `root` or is too long.
    """
    path = inside(expand(prefix, width, height, datetime.now()), "the output folder")
    subfolder, _, stem = path.rpartition("/")
    for part in path.split("/"):
        if len(os.fsencode(part)) > MAX_NAME_BYTES:
            raise UsageError(f"filename_prefix: {part[:40]!r}... is longer than {MAX_NAME_BYTES} bytes")
    place = Destination(root, subfolder, "" if stem == "." else stem)
    try:
        place.folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{place.folder} cannot be made: {error.strerror}") from error
    return place


def expand(prefix: str, width: int, height: int, now: datetime) -> str:
    """Replace %width%, %height% (pixels) and %year%, %month%, %day%, %hour%, %minute%, %second%."""
    values = {"%width%": str(width), "%height%": str(height), "%year%": str(now.year)}
    for part in ("month", "day", "hour", "minute", "second"):
        values[f"%{part}%"] = f"{getattr(now, part):02}"
    for variable, value in values.items():
        prefix = prefix.replace(variable, value)
    return prefix


def next_counter(place: Destination) -> int:
    """One above the highest counter of the files of a destination, whatever their suffix; 1 without any."""
    stem = re.escape(os.path.normcase(place.stem)).replace(BATCH_NUMBER, "[0-9]+")
    counted = re.compile(rf"{stem}_([0-9]+)_")
    found = (counted.match(os.path.normcase(name)) for name in os.listdir(place.folder))  # noqa: PTH208
    return 1 + max((int(match[1]) for match in found if match), default=0)


def save_new(
    folder: Path, stem: str, counter: int, suffix: str, write: Callable[[Path], None]
) -> tuple[str, int]:
    """Write a new file under the first free counter from `counter` on: (its name, its counter).

    `write` fills a partial file beside it, which then gets its name in one step; a file that another
    process made meanwhile is never replaced.
    """
    partial = folder / f".{stem}-{secrets.token_hex(6)}.part"
    try:
        write(partial)
        while not claim(partial, folder / (name := f"{stem}_{counter:05}_{suffix}")):
            counter += 1
        return name, counter
    finally:
        partial.unlink(missing_ok=True)


def claim(partial: Path, final: Path) -> bool:
    """Give a complete file its final name, unless that is taken; where it stays under its own too."""
    try:
        os.link(partial, final)  # not a rename, which would replace
    except FileExistsError:
        return False
    except OSError:  # no links on this file system: take the name with an empty file, then replace that
        with contextlib.suppress(FileExistsError):
            final.touch(exist_ok=False)
            partial.replace(final)
            return True
        return False
    return True
