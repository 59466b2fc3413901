"""What the front end replaces in texts before it queues them.

In names of files: `%date:yyyy-MM-dd%`, and `%Node.input%` with the value of another node's field, as
https://blenderneko.github.io/ComfyUI-docs/Interface/SaveFileFormatting describes. In prompts: `{day|night}`
becomes one of its parts, and comments (`// ...`, `/* ... */`) go.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from datetime import datetime

_VARIABLE = re.compile(r"%([^%]+)%")
_DATE_PARTS = re.compile(r"yyyy|yy|MM?|dd?|hh?|mm?|ss?")
_NOT_IN_NAMES = re.compile(r'[/\\?<>:*|"\x00-\x1f\x7f]')
_COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.DOTALL)
_INNERMOST = re.compile(r"(?<!\\)\{((?:[^{}\\]|\\.)*)(?<!\\)\}", re.DOTALL)
MOST_LEVELS = 50


def fill_in_name(text: str, value_of: Callable[[str, str], object], now: datetime) -> str:
    """A file name's prefix with dates and values of other nodes; what is not known stays as it is.

    `value_of(node, input)` is a value, or None where there is none.
    """

    def replaced(found: re.Match[str]) -> str:
        said = found[1]
        if said.startswith("date:"):
            return _date(said.removeprefix("date:"), now)
        node, dot, name = said.rpartition(".")
        value = value_of(node, name) if dot else None
        return found[0] if value is None else _NOT_IN_NAMES.sub("_", _shown(value))

    return _VARIABLE.sub(replaced, text)


def _date(form: str, now: datetime) -> str:
    """`yyyy yy MM M dd d hh h mm m ss s` in a text; two letters are filled with zeros."""
    values = {"M": now.month, "d": now.day, "h": now.hour, "m": now.minute, "s": now.second}

    def part(found: re.Match[str]) -> str:
        said = found[0]
        if said.startswith("y"):
            return f"{now.year:04}"[-len(said) :]
        return str(values[said[0]]).zfill(len(said))

    return _DATE_PARTS.sub(part, form)


def _shown(value: object) -> str:
    """As JavaScript writes a value: 1.0 is 1, True is true."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e21:
        return str(int(value))
    return str(value)


def choose(text: str, chance: random.Random) -> str:
    """A prompt without comments, each `{a|b}` replaced by one of its parts; `\\{` and `\\}` are braces."""
    if not any(mark in text for mark in ("{", "}", "//", "/*")):
        return text
    text = _COMMENT.sub("", text)
    for _ in range(MOST_LEVELS):
        text, count = _INNERMOST.subn(lambda found: chance.choice(found[1].split("|")), text)
        if not count:
            break
    return re.sub(r"\\([{}])", r"\1", text)
