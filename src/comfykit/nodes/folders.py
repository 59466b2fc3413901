"""Files that a workflow names in the input, output and temp folders.

A name may say which folder it means, `photo.png [output]`, and lies in the input folder otherwise. It
never leads out of its folder.

Nodes that run get their folders through their context. A node class's `check` and `fingerprint` get
nothing but inputs, so a run says with `use_folders` where to look while it checks and signs a workflow.
"""

from __future__ import annotations

import contextlib
import difflib
import hashlib
import math
import os
import posixpath
import re
from collections.abc import Iterator
from contextvars import ContextVar
from pathlib import Path

from comfykit.errors import UsageError
from comfykit.settings import Settings

_ANNOTATED = re.compile(r"(?P<name>.*?) ?\[(?P<kind>input|output|temp)\]", re.DOTALL)
_NEVER_IN_NAMES = re.compile("[\\0-\\x1f\\ud800-\\udfff]")
_settings: ContextVar[Settings] = ContextVar("folders of the run")


@contextlib.contextmanager
def use_folders(settings: Settings) -> Iterator[None]:
    """Within, checks and fingerprints look for files in the folders of `settings`."""
    token = _settings.set(settings)
    try:
        yield
    finally:
        _settings.reset(token)


def current_folders() -> Settings | None:
    """The settings of the innermost `use_folders`, None outside of any."""
    return _settings.get(None)


def find_file(name: str, settings: Settings) -> Path:
    """The file that `name` or `name [output]` means.

    Raises `UsageError` for a name that leaves its folder, or with the nearest names where none is.
    """
    bare, kind = split_kind(name)
    folder = {"input": settings.input_dir, "output": settings.output_dir, "temp": settings.temp_dir}[kind]
    path = folder / inside(bare, f"the {kind} folder")
    if os.path.isfile(path):  # noqa: PTH113  (Path.is_file raises for a name that is too long)
        return path
    near = difflib.get_close_matches(bare, _names(folder), n=3, cutoff=0.5)
    raise UsageError(
        f"no file {bare!r} in {folder}",
        hint=f"did you mean {' or '.join(near)}?" if near else f"put it into the {kind} folder",
    )


def split_kind(name: str) -> tuple[str, str]:
    """The file's own name and its folder: "photo.png [output]" is ("photo.png", "output")."""
    found = _ANNOTATED.fullmatch(name)
    return (found["name"], found["kind"]) if found else (name, "input")


def inside(name: str, folder: str) -> str:
    """`name` in its simplest spelling with `/` between parts; raises `UsageError` when it leads out.

    `\\` separates parts too, because workflows travel from Windows. Links inside a folder are followed:
    no workflow can make one.
    """
    path = posixpath.normpath(name.replace("\\", "/"))
    if path.startswith(("/", "../")) or path == ".." or re.match("[A-Za-z]:", path):
        raise UsageError(f"{name!r} leads out of {folder}", hint="name a file below it, without '..'")
    if _NEVER_IN_NAMES.search(path):
        raise UsageError(f"{name!r} holds characters that no file name may have")
    return path


def check_file(name: str | None) -> bool | str:
    """A `check` for one file: True, or what is wrong with its name."""
    settings = current_folders()
    if name is None or settings is None:
        return True
    try:
        find_file(name, settings)
    except UsageError as error:
        return f"{error} ({error.hint})"
    return True


def file_digest(name: str | None) -> str | float:
    """A `fingerprint` for one file: the sha256 of what is in it.

    Where the file is not known yet, NaN, which no earlier run equals.
    """
    settings = current_folders()
    if name is None or settings is None:
        return math.nan
    with find_file(name, settings).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _names(folder: Path) -> list[str]:
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        return [entry.name for entry in entries]
    return []
