"""Files that list packs, one on a line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from comfykit.errors import PackError
from comfykit.home import expand
from comfykit.packs.spec import Spec, parse_spec

_MAX_BYTES = 1024 * 1024
_NO_LISTS = (".zip", ".py")


def read_specs(texts: Sequence[str], *, folder: Path) -> list[Spec]:
    """What the texts name, files among them opened; what is named twice counts once.

    Raises `PackError` with the file and the line of what names no pack.
    """
    found: dict[Spec, None] = {}
    for text in texts:
        listing = _listing(text, folder)
        if listing is None:
            found.setdefault(parse_spec(text, folder=folder))
        else:
            found.update(dict.fromkeys(read_list(listing)))
    return list(found)


def read_list(path: Path) -> list[Spec]:
    """The packs that a file lists. A '#' at the start of a line or behind a space starts a comment."""
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
        lines = data.decode("utf-8-sig").splitlines()
    except OSError as error:
        raise PackError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise PackError(f"{path} is no list of packs: it is not text") from error
    if len(data) > _MAX_BYTES:
        raise PackError(f"{path} is no list of packs: it has more than {_MAX_BYTES} bytes")
    found = []
    for number, line in enumerate(lines, 1):
        text = f" {line}".partition(" #")[0].strip()
        if text:
            try:
                found.append(parse_spec(text, folder=path.parent))
            except PackError as error:
                raise PackError(
                    f"{path}:{number}: {error}", hint=error.hint, file=str(path), line=number
                ) from error
    return found


def _listing(text: str, folder: Path) -> Path | None:
    """The file that a text names, where it is one that may list packs."""
    if "://" in text or text.lower().endswith(_NO_LISTS) or not text.isprintable():
        return None
    path = folder / expand(text)
    try:
        return path if path.is_file() else None
    except OSError:  # a name that is too long for this file system
        return None
