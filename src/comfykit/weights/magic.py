"""What a file is by its first bytes; its name is never asked."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

from comfykit.errors import ModelFileError

Magic = Literal["safetensors", "zip", "pickle", "gguf", "html", "json", "lfs", "empty", "unknown"]

# A safetensors file begins with the length of its header, 8 bytes, of which no honest one needs more than
# four; the header is a JSON object. No text and no pickle looks like that.
_SAFETENSORS = re.compile(rb".{4}\0{4}\{", re.DOTALL)
_PICKLE = re.compile(rb"\x80[\x02-\x05]")
_HTML = re.compile(rb"\s*<(!doctype\s+html|html|head|\?xml)", re.IGNORECASE)

# The first that fits decides.
_PATTERNS: tuple[tuple[Magic, re.Pattern[bytes]], ...] = (
    ("safetensors", _SAFETENSORS),
    ("zip", re.compile(rb"PK\x03\x04")),
    ("pickle", _PICKLE),
    ("gguf", re.compile(rb"GGUF")),
    ("lfs", re.compile(rb"version https://git-lfs")),
    ("html", _HTML),
    ("json", re.compile(rb"\s*[{\[]")),
)

_AGAIN = "delete it and fetch it again"
_SAID: dict[Magic, tuple[str, str]] = {
    "zip": (
        "it is a PyTorch or zip archive",
        "give it the suffix .ckpt or .pt if you trust where it came from",
    ),
    "pickle": ("it is a pickle", "give it the suffix .ckpt or .pt if you trust where it came from"),
    "gguf": ("it is a GGUF file, which comfykit does not read", "use the safetensors file of the same model"),
    "html": (
        "it is an HTML page, not weights",
        f"the server answered with a page (often one that asks to log in); {_AGAIN}",
    ),
    "json": ("it is a JSON text, not weights", f"it may hold a server's error message; {_AGAIN}"),
    "lfs": (
        "it is a Git LFS pointer, not the weights themselves",
        "run 'git lfs pull' where it came from, or fetch the file",
    ),
    "empty": ("it is empty (0 bytes)", _AGAIN),
    "unknown": ("its first bytes are those of no weights format", _AGAIN),
}


def sniff(path: Path) -> Magic:
    """The kind of file at `path`, from its first bytes.

    Raises `ModelFileError` where the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            head = file.read(512)
    except OSError as error:
        raise ModelFileError(f"{path} cannot be read: {error.strerror}", path=str(path)) from error
    return _kind(head)


def _kind(head: bytes) -> Magic:
    if not head:
        return "empty"
    return next((kind for kind, pattern in _PATTERNS if pattern.match(head)), "unknown")


def refuse(path: Path, magic: Magic) -> ModelFileError:
    """The error that says what a file is instead of weights."""
    said, hint = _SAID[magic]
    return ModelFileError(f"{path}: {said}", hint=hint, path=str(path), found=magic)
