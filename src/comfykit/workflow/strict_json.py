"""JSON that is safe to work on: bounded depth, no name twice, no half characters.

Workflow files come from strangers. What `json.loads` would accept and a later step would break on is
refused here with its place. NaN and Infinity are let through but told of, because ComfyUI writes them
where they do not matter; `find_non_finite` says where they are.
"""

from __future__ import annotations

import codecs
import itertools
import json
import math
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

from comfykit.errors import WorkflowError

MAX_BYTES = 64 * 2**20
MAX_DEPTH = 100

# UTF-32 before UTF-16: its little-endian mark begins with the other's.
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_NOT_MARKS = bytes(set(range(256)) - set(b'[]{}"'))
_DEPTH_CHANGE = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}

_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
# A pair, then (named) half of one, then any other escape, so that `\\ud800` is not taken for one.
_ESCAPE = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(?P<half>\\u[dD][89a-fA-F][0-9a-fA-F]{2})|\\.",
    re.DOTALL,
)


class Document(NamedTuple):
    """What a JSON text says; `non_finite` when NaN, Infinity or a number beyond float is somewhere in it."""

    value: Any
    non_finite: bool


def decode(data: bytes, name: str) -> str:
    """Text of UTF-8, or of UTF-16 or UTF-32 that begin with a byte order mark, in at most `MAX_BYTES`."""
    if len(data) > MAX_BYTES:
        raise WorkflowError(
            f"{name}: larger than {MAX_BYTES // 2**20} MiB",
            hint="workflows have kilobytes; is it another file?",
        )
    encoding = next((encoding for mark, encoding in _BYTE_ORDER_MARKS if data.startswith(mark)), "utf-8")
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        raise WorkflowError(
            f"{name}: neither a PNG nor text: byte {error.start} is not {error.encoding}",
            hint="give a workflow in API form (JSON), or a PNG that ComfyUI saved",
        ) from error


def loads(text: str, name: str) -> Document:
    """Parse a JSON text; raises `WorkflowError` that starts with `name` and says the place."""
    _refuse_deep(text, name)
    _refuse_half_characters(text, name)
    non_finite: list[str] = []

    def number(digits: str) -> float:
        value = float(digits)
        if not math.isfinite(value):
            non_finite.append(digits)
        return value

    try:
        value = json.loads(text, object_pairs_hook=_object, parse_float=number, parse_constant=number)
    except json.JSONDecodeError as error:
        raise WorkflowError(
            f"{name}: not JSON at {place(text, error.pos)}: {error.msg}",
            line=error.lineno,
            column=error.colno,
        ) from error
    except _Twice as error:
        raise WorkflowError(f"{name}: {error}", hint="keep one of them") from error
    except ValueError as error:
        # Python refuses to convert whole numbers of more than 4300 digits, as that takes quadratic time.
        raise WorkflowError(f"{name}: holds a number with thousands of digits") from error
    return Document(value, bool(non_finite))


def place(text: str, position: int) -> str:
    """Line and column of a character, counted from 1."""
    line = text.count("\n", 0, position) + 1
    return f"line {line}, column {position - text.rfind(chr(10), 0, position)}"


def shorten(text: str) -> str:
    """A text in quotes for a message: a stranger's name may have megabytes."""
    return repr(text) if len(text) <= 60 else f"{text[:57]!r}..."


def find_non_finite(value: Any) -> Iterator[str]:
    """Dotted paths of every NaN and Infinity below a value."""
    left: list[tuple[str, Any]] = [("", value)]
    while left:
        path, item = left.pop()
        if isinstance(item, float) and not math.isfinite(item):
            yield path.lstrip(".")
        elif isinstance(item, dict):
            left.extend((f"{path}.{key}", below) for key, below in item.items())
        elif isinstance(item, list):
            left.extend((f"{path}.{index}", below) for index, below in enumerate(item))


class _Twice(Exception):
    """A name that stands twice in one object."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) == len(pairs):
        return made
    twice, _ = Counter(name for name, _ in pairs).most_common(1)[0]
    value = made[twice]
    what = "node id" if isinstance(value, dict) and "class_type" in value else "name"
    raise _Twice(f"the {what} {shorten(twice)} stands twice in one object")


def _refuse_deep(text: str, name: str) -> None:
    """Counts brackets outside of strings: the parser recurses, so it must not see deep values.

    All in C: escapes go, then everything but quotes and brackets, then strings that held no bracket.
    """
    data = text.encode("utf-8", "surrogatepass").replace(rb"\\", b"").replace(rb"\"", b"")
    marks = data.translate(None, _NOT_MARKS).replace(b'""', b"")
    brackets = b"".join(marks.split(b'"')[::2])
    depth = max(itertools.accumulate(map(_DEPTH_CHANGE.__getitem__, brackets)), default=0)
    if depth > MAX_DEPTH:
        raise WorkflowError(
            f"{name}: nested {depth} deep, more than the {MAX_DEPTH} that are read", depth=depth
        )


def _refuse_half_characters(text: str, name: str) -> None:
    """Half of a surrogate pair can be parsed but neither printed nor saved."""
    if not _SURROGATE.search(text):
        return
    for found in _ESCAPE.finditer(text):
        if found["half"]:
            raise WorkflowError(
                f"{name}: {found['half']} at {place(text, found.start())} is half a character",
                hint="write the other half of the surrogate pair after it, or take it out",
            )
