"""Where a file may be written: below the home's `models/`, and nowhere else.

The text of a path is judged first (`target_path`, no disk needed), then the folders it leads
through (`check_place`, as a link may lead out).
"""

from __future__ import annotations

import os
import re
import unicodedata
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

from comfykit.errors import FetchError
from comfykit.home import Home

# ext4, XFS, NTFS and APFS allow 255; the partial file's name is `.NAME.part`.
_MAX_NAME_BYTES = 240
_MAX_PATH_BYTES = 1024
_OTHER_FOLDERS = frozenset({"custom_nodes", "input", "output", "temp", "user"})
_DEVICES = frozenset(
    {"con", "prn", "aux", "nul"} | {f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10)}
)
_UNSAFE_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_VARIABLE = re.compile(r"^\$|%\w+%")


def target_path(folder: str | None, name: str) -> PurePosixPath:
    """The path below `models/` that `dir=` and `out=` name together.

    `models/checkpoints` and `checkpoints` are the same folder. Raises `ValueError` with a sentence
    for a path that could leave `models/`, or that some file system reads as another one.
    """
    if name.endswith("/"):
        raise ValueError(f"{name!r} ends in '/': it names a folder, not a file")
    parts = [*(_parts(folder) if folder is not None else ()), *_parts(name)]
    if parts and parts[0] == "models":
        parts = parts[1:]
    if len(parts) < 2:
        raise ValueError(f"{'/'.join(parts)!r} is in no folder of models/")
    if parts[0] in _OTHER_FOLDERS:
        raise ValueError(f"{parts[0]}/ is not a folder of models, and only models are fetched")
    if parts[1] == "models":
        raise ValueError(f"folders start at models/: drop {parts[0]!r} from the front")
    if len("/".join(parts).encode()) > _MAX_PATH_BYTES:
        raise ValueError(f"a path of more than {_MAX_PATH_BYTES} bytes")
    return PurePosixPath(*parts)


def check_place(home: Home, target: PurePosixPath) -> Path:
    """The absolute path of a target, after following the folders it leads through.

    Raises `FetchError` where a link leads out of the home's `models/`; a folder that the home's
    `extra_model_paths.yaml` names is no way out.
    """
    path = home.models / target
    parent = Path(os.path.realpath(path.parent))
    roots = [home.models, *(folder for folders in home.extra.values() for folder in folders)]
    if not any(parent.is_relative_to(os.path.realpath(root)) for root in roots):
        raise FetchError(
            f"models/{target.parent} leads to {parent}, which is outside of {home.models}",
            hint=f"name {parent} in {home.root / 'extra_model_paths.yaml'} if models belong there",
            path=str(path),
            leads_to=str(parent),
        )
    return path


def _parts(text: str) -> list[str]:
    """Parts of a relative path without its `.`; raises `ValueError` for anything unsafe."""
    if not text or text.isspace():
        raise ValueError("an empty path")
    if any(unicodedata.category(character) in _UNSAFE_CATEGORIES for character in text):
        raise ValueError(f"{text!r} holds a control or invisible character")
    if text.startswith(("/", "~")) or "\\" in text or ":" in text:
        raise ValueError(f"{text!r} is not a path below models/ (absolute, '~', '\\' or ':')")
    parts = [part for part in text.split("/") if part not in ("", ".")]
    if not parts:
        raise ValueError(f"{text!r} names no file or folder")
    for part in parts:
        _check_part(part, text)
    return parts


def _check_part(part: str, text: str) -> None:
    """Refuse a part that is `..` under any spelling, or that file systems treat in their own way."""
    spellings = {part, unicodedata.normalize("NFKC", part)}
    spellings |= {unquote(spelling) for spelling in spellings}
    spellings |= {unquote(spelling) for spelling in spellings}
    for spelling in spellings:
        if spelling.strip(" ") in (".", "..") or any(mark in spelling for mark in "/\\\0"):
            raise ValueError(f"{text!r} steps out of models/")
    if _VARIABLE.search(part):
        raise ValueError(f"{text!r} holds a variable, and nothing is expanded in a manifest")
    if part.startswith("."):
        raise ValueError(f"{text!r} holds a hidden name: models are not looked for there")
    if part != part.strip() or part.endswith("."):
        raise ValueError(f"{text!r}: a name must not start with a space or end in a space or a dot")
    if part.partition(".")[0].lower() in _DEVICES or any(mark in part for mark in '<>"|?*'):
        raise ValueError(f"{text!r} holds a name that Windows cannot store")
    if len(part.encode()) > _MAX_NAME_BYTES:
        raise ValueError(f"a name of {len(part.encode())} bytes; the longest is {_MAX_NAME_BYTES}")
