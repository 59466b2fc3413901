"""Names of pack folders: what may stand below `custom_nodes/`."""

from __future__ import annotations

import re
import unicodedata

from comfykit.errors import PackError

_MAX_BYTES = 200
_TAKEN = frozenset({"custom_nodes", "__pycache__"})
_DEVICES = frozenset(
    {"con", "prn", "aux", "nul"} | {f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10)}
)
_FORBIDDEN = frozenset('<>:"/\\|?*')
_UNSAFE_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
# What GitHub puts behind a repository's name in the top folder of a zip.
_OF_GITHUB = re.compile(r"-(?:main|master|[0-9a-f]{40})\Z")


def check_name(name: str) -> str:
    """The name of a pack's folder in composed form.

    Raises `PackError` for one that leads elsewhere, that ComfyUI does not load, or that some file system
    reads as another one.
    """
    name = unicodedata.normalize("NFC", name)
    if not name or name in (".", "..") or _FORBIDDEN & set(name):
        raise _wrong(name, "it leads to another folder")
    if any(unicodedata.category(character) in _UNSAFE_CATEGORIES for character in name):
        raise _wrong(name, "it holds a control or invisible character")
    if name.startswith((".", "-", "~", "$")) or name != name.strip() or name.endswith("."):
        raise _wrong(name, "it starts or ends with a character that tools read in their own way")
    if name.lower() in _TAKEN or name.lower().partition(".")[0] in _DEVICES:
        raise _wrong(name, "it means something else already")
    if name.lower().endswith(".disabled"):
        raise _wrong(name, "folders that end so are packs that are switched off")
    if len(name.encode()) > _MAX_BYTES:
        raise _wrong(f"{name[:40]}...", f"it is longer than {_MAX_BYTES} bytes")
    return name


def without_branch(name: str) -> str:
    """`ComfyMath-main`, as GitHub names the folder in a zip, as `ComfyMath`."""
    return _OF_GITHUB.sub("", name) or name


def _wrong(name: str, why: str) -> PackError:
    return PackError(f"{name!r} cannot be the folder of a pack: {why}", name=name)
