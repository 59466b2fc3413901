"""Counts, intervals and tables, and a store of numbers so that a report can be interrupted."""

from __future__ import annotations

import hashlib
import json
import math
import textwrap
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from measure import Judgement

PROPERTIES = ("colour", "shape", "background", "relation")
BARS = {"colour": 0.97, "shape": 0.90, "background": 0.97, "relation": 0.85}


@dataclass(frozen=True, slots=True)
class Rate:
    """How many of how many."""

    right: int
    of: int

    @property
    def part(self) -> float:
        """0 to 1; not a number where nothing was counted."""
        return self.right / self.of if self.of else math.nan

    def interval(self, z: float = 1.96) -> tuple[float, float]:
        """Wilson's interval, of 95 % for z = 1.96 ("Probable Inference ...", Wilson 1927)."""
        if not self.of:
            return 0.0, 1.0
        p, n = self.part, self.of
        middle = (p + z * z / (2 * n)) / (1 + z * z / n)
        half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
        return max(0.0, middle - half), min(1.0, middle + half)

    def __str__(self) -> str:
        """Percent."""
        return percent(self.part)


def rate(answers: Iterable[bool | None]) -> Rate:
    """The part of yes among yes and no."""
    known = [answer for answer in answers if answer is not None]
    return Rate(sum(known), len(known))


def rates(judgements: Sequence[Judgement]) -> dict[str, Rate]:
    """The rate of every property, and of all of them together as "all"."""
    found = {name: rate(getattr(judgement, name) for judgement in judgements) for name in PROPERTIES}
    return found | {"all": rate(judgement.right for judgement in judgements)}


def percent(part: float) -> str:
    """A part in percent; a dash where nothing was counted."""
    return "-" if math.isnan(part) else f"{100 * part:.1f} %"


def psnr(ours: Image.Image, theirs: Image.Image) -> float:
    """Peak signal-to-noise ratio in dB of pictures of one size; 99 where they are the same."""
    error = np.square(np.asarray(ours, dtype=np.float64) - np.asarray(theirs, dtype=np.float64)).mean()
    return 99.0 if error == 0 else float(10 * math.log10(255 * 255 / error))


def overlap(ours: np.ndarray[Any, Any], theirs: np.ndarray[Any, Any]) -> float:
    """Intersection over union of two masks; 1 where both are empty."""
    union = np.logical_or(ours, theirs).sum()
    return float(np.logical_and(ours, theirs).sum() / union) if union else 1.0


def paragraph(text: str) -> str:
    """Prose in lines of at most 125 characters."""
    return textwrap.fill(" ".join(text.split()), 125, break_long_words=False, break_on_hyphens=False)


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


class Store:
    """Numbers of one section, in a file: what was measured before is not measured again.

    `of` says what they depend on; numbers of anything else are forgotten.
    """

    def __init__(self, path: Path, of: str) -> None:
        self._path, self._of = path, of
        read = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        self._numbers: dict[str, Any] = read["numbers"] if read.get("of") == of else {}

    def numbers(self, name: str, measure: Callable[[], Any]) -> Any:
        """What `measure` found, now or before; anything that JSON can hold."""
        if name not in self._numbers:
            print(f"  {name}", flush=True)
            self._numbers[name] = json.loads(json.dumps(measure()))
            self._path.parent.mkdir(parents=True, exist_ok=True)
            partial = self._path.with_suffix(".part")
            partial.write_text(json.dumps({"of": self._of, "numbers": self._numbers}), encoding="utf-8")
            partial.replace(self._path)
        return self._numbers[name]


def digest(paths: Iterable[Path]) -> str:
    """One short name for the bytes of files."""
    found = hashlib.sha256()
    for path in paths:
        found.update(hashlib.sha256(path.read_bytes()).digest())
    return found.hexdigest()[:16]
