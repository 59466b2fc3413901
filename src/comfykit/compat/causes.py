"""Why a pack, or a class of one, cannot be used, in words, with a hint where something can be done."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from comfykit.compat.guard import InstallBlocked
from comfykit.compat.modules import MissingAttribute, MissingModule, MissingName
from comfykit.packs.distributions import distribution_of


@dataclass(frozen=True, slots=True)
class Cause:
    """What went wrong: a sentence, where in the pack, and what would help.

    `kind` is "package" (a Python package is missing: `subject` is its distribution), "interface" (a part
    of ComfyUI's is: `subject` is its name), "install" (the pack tried to install something), "exit" or
    "error".
    """

    message: str
    kind: str = "error"
    subject: str = ""
    hint: str | None = None
    place: str = ""
    traceback: str = ""


def cause_of(error: BaseException, folder: Path) -> Cause:
    """What a pack's code raised, told from the error behind it that says most."""
    kind, message, subject, hint = "error", f"{type(error).__name__}: {error}", "", None
    for root in _chain(error):
        if isinstance(root, MissingAttribute | MissingName | MissingModule):
            kind, message, subject = "interface", str(root), root.part
            break
        if isinstance(root, InstallBlocked):
            kind, message, subject = "install", str(root), str(root.cmd)
            hint = "what it needs and does not list can be installed by hand; then it does not ask"
            break
        if isinstance(root, ModuleNotFoundError) and root.name and (own := _own_module(root.name, folder)):
            message, subject = f"its own module {own!r} is missing", own
            hint = "a part of the pack was not fetched: a git submodule, or what its install.py brings"
            break
        if isinstance(root, ModuleNotFoundError) and root.name:
            distribution = distribution_of(root.name)
            kind, subject = "package", distribution
            message = f"the Python package {root.name!r} is missing"
            hint = (
                f"it comes with {distribution}: comfykit packs enable {folder.name} installs what the pack "
                f"lists, and pip install {distribution} what it forgot"
            )
            break
    if kind == "error" and isinstance(error, SystemExit):
        kind, message = "exit", f"it ended the process while it was imported (exit code {error.code})"
    return Cause(
        message, kind, subject, hint, _place(error, folder), "".join(traceback.format_exception(error))
    )


def _own_module(name: str, folder: Path) -> str:
    """The name of a missing module as its pack knows it, where it belongs to the pack; else empty."""
    package = str(folder).replace(".", "_x_")  # as the loader names it
    if name.startswith(f"{package}."):
        return name.removeprefix(package)
    above = sys.modules.get(name.partition(".")[0]) if "." in name else None
    places = [Path(place) for place in getattr(above, "__path__", ())]
    return name if any(place.is_relative_to(folder) for place in places) else ""


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and those behind it, nearest first."""
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)


def _place(error: BaseException, folder: Path) -> str:
    """The last line of the pack's own code on the way to the error, such as `py/nodes.py:12`."""
    found = ""
    for frame, line in traceback.walk_tb(error.__traceback__):
        file = Path(frame.f_code.co_filename)
        if file == folder or folder in file.parents:
            found = f"{file.relative_to(folder) if file != folder else file.name}:{line}"
    if isinstance(error, SyntaxError) and error.filename:
        return (
            f"{Path(error.filename).name}:{error.lineno} (Python {sys.version_info[0]}.{sys.version_info[1]})"
        )
    return found
