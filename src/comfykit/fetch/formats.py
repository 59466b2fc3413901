"""Whether bytes can be the file that their name says.

A server that wants a login answers 200 with an HTML page; a connection that ends early leaves a file
that looks complete. `judge_start` looks at the first bytes before anything is written, `judge_file`
at a whole file. Both return what is wrong ("it is an HTML page ..."), or None.
"""

from __future__ import annotations

import re
import zipfile
from pathlib import Path, PurePath

from comfykit.errors import ModelFileError
from comfykit.weights.header import MAX_HEADER_BYTES, read_header

# Bytes that `judge_start` wants to see; fewer only when the file has no more.
START_BYTES = 4096

_SAFETENSORS = frozenset({".safetensors", ".sft"})
_PICKLED = frozenset({".bin", ".ckpt", ".pkl", ".pt", ".pt2", ".pth"})
_PAGE = re.compile(rb"(?:\xef\xbb\xbf)?\s*<(?:!doctype\s+html|html|head|body)\b", re.IGNORECASE)
_TITLE = re.compile(rb"<title[^>]*>\s*(.{1,80}?)\s*</title", re.IGNORECASE | re.DOTALL)
_ZIP = b"PK\x03\x04"


def judge_start(name: str, start: bytes, size: int | None) -> str | None:
    """What is wrong with a file of this name that starts so; `size` in bytes, None where unknown."""
    suffix = PurePath(name).suffix.lower()
    if not start:
        return "it is empty"
    if suffix not in (".html", ".htm") and is_page(start):
        title = _TITLE.search(start)
        words = f" titled {title[1].decode('utf-8', 'replace')!r}" if title else ""
        return f"it is an HTML page{words}, not a model (a login page?)"
    if suffix in _SAFETENSORS:
        return _judge_safetensors(start, size)
    if suffix in _PICKLED and not _is_pickled(start):
        return "it does not start like a PyTorch file" + _as_text(start)
    if suffix == ".gguf" and not start.startswith(b"GGUF"):
        return "it does not start like a GGUF file" + _as_text(start)
    return None


def is_page(start: bytes) -> bool:
    """Whether bytes are the start of an HTML page."""
    return _PAGE.match(start) is not None


def judge_file(path: Path, name: str) -> str | None:
    """What is wrong with a file on the disk that is to be called `name`, by its start and its end."""
    with path.open("rb") as file:
        start = file.read(START_BYTES)
    suffix = PurePath(name).suffix.lower()
    wrong = judge_start(name, start, path.stat().st_size)
    if wrong is None and suffix in _SAFETENSORS:
        try:
            read_header(path)
        except ModelFileError as error:
            wrong = str(error).removeprefix(f"{path}: ")
    elif wrong is None and suffix in _PICKLED and start.startswith(_ZIP) and not zipfile.is_zipfile(path):
        wrong = "it is a zip archive without its end: it was cut off"
    return wrong


def _judge_safetensors(start: bytes, size: int | None) -> str | None:
    """Layout: 8 bytes little-endian header length, then JSON, then tensor bytes (safetensors README)."""
    length = int.from_bytes(start[:8], "little")
    if len(start) < 9 or not 2 <= length <= MAX_HEADER_BYTES or start[8:9] != b"{":
        return "it does not start like a safetensors file" + _as_text(start)
    if size is not None and 8 + length > size:
        return f"it ends within its header ({size} of at least {8 + length} bytes)"
    return None


def _is_pickled(start: bytes) -> bool:
    """torch.save writes a zip archive since 1.6, a pickle of protocol 2 or later before that."""
    return start.startswith(_ZIP) or (
        start[:1] == b"\x80" and start[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05")
    )


def _as_text(start: bytes) -> str:
    """The first line of an answer that is words: an error that a server sent as a file."""
    line = start[:200].partition(b"\n")[0].decode("utf-8", "replace").strip()
    if line and line.isprintable() and "\ufffd" not in line:
        return f"; its first line is {line[:80]!r}"
    return ""
