"""Which bytes of a file are there: sorted, disjoint ranges."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """Bytes `start` to `end`, the latter not included."""

    start: int
    end: int

    def __post_init__(self) -> None:
        if not 0 <= self.start <= self.end:
            raise ValueError(f"no span: {self.start} to {self.end}")

    def __len__(self) -> int:
        return self.end - self.start


class Spans:
    """A set of bytes, kept as few spans: neighbours are joined. Not for several threads at once."""

    def __init__(self, spans: Iterable[Span] = ()) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []
        for span in spans:
            self.add(span)

    @classmethod
    def from_lists(cls, value: object) -> Spans:
        """Spans of `[[start, end], ...]`, as a journal holds them; raises `ValueError` for others."""
        if not isinstance(value, list):
            raise ValueError("spans are a list")
        spans = cls()
        for pair in value:
            if not (isinstance(pair, list) and len(pair) == 2 and all(type(n) is int for n in pair)):
                raise ValueError("a span is a pair of whole numbers")
            spans.add(Span(*pair))
        return spans

    def to_lists(self) -> list[list[int]]:
        """The spans as `[[start, end], ...]`."""
        return [[span.start, span.end] for span in self]

    def copy(self) -> Spans:
        """The same spans, to be changed apart."""
        return Spans(self)

    def add(self, span: Span) -> None:
        """Add bytes, whether some of them are there already or not."""
        if not len(span):
            return
        first = bisect_left(self._ends, span.start)
        last = bisect_right(self._starts, span.end)
        start, end = span.start, span.end
        if first < last:
            start, end = min(start, self._starts[first]), max(end, self._ends[last - 1])
        self._starts[first:last] = [start]
        self._ends[first:last] = [end]

    def missing(self, total: int) -> list[Span]:
        """What lacks of a file of `total` bytes."""
        gaps, at = [], 0
        for span in self:
            if at < min(span.start, total):
                gaps.append(Span(at, min(span.start, total)))
            at = span.end
        if at < total:
            gaps.append(Span(at, total))
        return gaps

    @property
    def covered(self) -> int:
        """How many bytes are there."""
        return sum(self._ends) - sum(self._starts)

    @property
    def prefix(self) -> int:
        """How many bytes are there from the start without a gap."""
        return self._ends[0] if self._starts and self._starts[0] == 0 else 0

    @property
    def end(self) -> int:
        """The end of the last span; 0 without any."""
        return self._ends[-1] if self._ends else 0

    def __iter__(self) -> Iterator[Span]:
        return (Span(start, end) for start, end in zip(self._starts, self._ends, strict=True))

    def __bool__(self) -> bool:
        return bool(self._starts)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Spans) and self.to_lists() == other.to_lists()

    __hash__ = None  # type: ignore[assignment]  # it changes

    def __repr__(self) -> str:
        return f"Spans({self.to_lists()})"
