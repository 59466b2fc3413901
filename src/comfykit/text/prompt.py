"""Prompt weights: `a (red fox:1.3) in ((snow))`.

| written    | weight of x                                                  |
|------------|--------------------------------------------------------------|
| `x`        | 1                                                            |
| `(x)`      | 1.1 times that of what surrounds it                          |
| `((x))`    | 1.21                                                         |
| `(x:1.3)`  | 1.3, whatever surrounds it                                   |
| `((x):1.3)`| 1.43: the outer pair sets 1.3, the inner multiplies          |
| `\\(x\\)`  | 1, and the parentheses are part of the text                  |

Brackets and braces mean nothing. A parenthesis without its partner is text.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

EMPHASIS = 1.1


@dataclass(frozen=True, slots=True)
class Weighted:
    """A run of text, escapes undone, and the weight it is to have."""

    text: str
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class _Pair:
    """Two parentheses that belong together; their text ends at `text_end`, before any `:1.3`."""

    open: int
    text_end: int
    explicit: float | None

    def weight(self, around: float) -> float:
        return around * EMPHASIS if self.explicit is None else self.explicit


def parse_weights(text: str) -> list[Weighted]:
    """Split a prompt into runs of one weight each, in order, empty ones left out.

    Never raises: what cannot be read as a weight is text. Time grows with the length of the prompt
    alone, however deep its parentheses are nested.
    """
    runs: list[tuple[int, int, float]] = []
    weights = [1.0]
    start = 0
    for place, pair in sorted(_match_parentheses(text).items()):
        opens = place == pair.open
        runs.append((start, place if opens else pair.text_end, weights[-1]))
        if opens:
            weights.append(pair.weight(weights[-1]))
        else:
            weights.pop()
        start = place + 1
    runs.append((start, len(text), weights[-1]))
    return [Weighted(_unescape(text[a:b]), weight) for a, b, weight in runs if a < b]


def _match_parentheses(text: str) -> dict[int, _Pair]:
    """Every parenthesis that has a partner, by its place; opening and closing ones share a `_Pair`."""
    pairs: dict[int, _Pair] = {}
    opened: list[int] = []
    after = 0  # where the text since the last parenthesis begins: a weight stands there
    for place, char in enumerate(text):
        if char not in "()" or (place > 0 and text[place - 1] == "\\"):
            continue
        if char == "(":
            opened.append(place)
        elif opened:
            pair = _close(text, opened.pop(), after, place)
            pairs[pair.open] = pairs[place] = pair
        after = place + 1
    return pairs


def _close(text: str, opened: int, after: int, place: int) -> _Pair:
    colon = text.rfind(":", after, place)
    weight = _number(text[colon + 1 : place]) if colon >= 0 else None
    return _Pair(opened, place if weight is None else colon, weight)


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _unescape(text: str) -> str:
    return text.replace("\\(", "(").replace("\\)", ")")
