"""Spans, the journal that holds them, and the pieces that fill them."""

from __future__ import annotations

import json
import time
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comfykit.fetch import journal as journal_module
from comfykit.fetch.journal import Journal, Origin
from comfykit.fetch.limits import Limits
from comfykit.fetch.pieces import Pieces
from comfykit.fetch.spans import Span, Spans

TOTAL = 60
PAIRS = st.lists(st.tuples(st.integers(0, TOTAL), st.integers(0, TOTAL)).map(sorted), max_size=12)


@given(PAIRS)
def test_spans_are_a_set_of_bytes(pairs: list[list[int]]) -> None:
    spans = Spans(Span(*pair) for pair in pairs)
    there = {byte for start, end in pairs for byte in range(start, end)}
    assert {byte for span in spans for byte in range(span.start, span.end)} == there
    assert spans.covered == len(there)
    assert spans.prefix == next(byte for byte in range(TOTAL + 1) if byte not in there)
    assert spans.end == max(there, default=-1) + 1
    lists = spans.to_lists()
    assert all(before[1] < after[0] for before, after in pairwise(lists))
    assert Spans.from_lists(lists) == spans
    missing = {byte for span in spans.missing(TOTAL) for byte in range(span.start, span.end)}
    assert missing == set(range(TOTAL)) - there


@pytest.mark.parametrize(
    "value", [None, {}, [1], [[1]], [[2, 1]], [[-1, 1]], [[1, 2.0]], [[True, 2]], ["ab"]]
)
def test_what_is_no_list_of_spans_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="span"):
        Spans.from_lists(value)


ORIGIN = Origin("https://hub/m", 100, '"e"', None, "a" * 64)


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    journal = Journal(tmp_path / ".m.part.json")
    journal.begin(ORIGIN)
    return journal


def done(journal: Journal) -> list[list[int]]:
    record = Journal(journal.path).read()
    assert record is not None
    assert record.origin == ORIGIN
    return record.done.to_lists()


def test_the_last_account_counts(journal: Journal) -> None:
    assert done(journal) == []
    journal.note(Spans([Span(0, 10)]))
    assert done(journal) == [[0, 10]]
    journal.flushed(Spans([Span(0, 10)]))
    journal.note(Spans([Span(0, 10), Span(20, 30)]))
    assert done(journal) == [[0, 10], [20, 30]]


def test_after_a_new_start_of_the_system_only_what_was_flushed_counts(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal.flushed(Spans([Span(0, 10)]))
    journal.note(Spans([Span(0, 50)]))
    for boot in ("another", ""):
        monkeypatch.setattr(journal_module, "boot_id", lambda boot=boot: boot)
        assert done(journal) == [[0, 10]]


def test_a_journal_may_be_cut_off_anywhere(journal: Journal) -> None:
    accounts = [[[0, 10]], [[0, 20]], [[0, 30], [40, 50]]]
    for spans in accounts:
        journal.note(Spans.from_lists(spans))
    whole = journal.path.read_bytes()
    head = whole.index(b"\n")
    for length in range(len(whole)):
        journal.path.write_bytes(whole[:length] + b"\0" * 7)
        if length <= head:
            with pytest.raises(ValueError, match=r".+"):
                Journal(journal.path).read()
        else:
            assert done(journal) in [[], *accounts]


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"version": None},
        {"size": -1},
        {"size": "100"},
        {"size": True},
        {"url": None},
        {"etag": 5},
        {"sha256": ["a"]},
    ],
)
def test_a_foreign_journal_is_refused(journal: Journal, change: dict[str, object]) -> None:
    head = json.loads(journal.path.read_text().splitlines()[0])
    journal.path.write_text(json.dumps({**head, **change}) + "\n")
    with pytest.raises(ValueError, match="it "):
        Journal(journal.path).read()


def test_bytes_after_the_end_make_it_unusable(journal: Journal) -> None:
    journal.note(Spans([Span(90, 101)]))
    with pytest.raises(ValueError, match="after the end"):
        Journal(journal.path).read()


def test_a_journal_that_grows_begins_anew(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_module, "_MAX_BYTES", 4000)
    for end in range(1, 101):
        journal.note(Spans([Span(0, end)]))
        journal.flushed(Spans([Span(0, end)]))
    assert journal.path.stat().st_size < 4000
    assert done(journal) == [[0, 100]]


def test_a_link_in_its_place_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "other").write_text("precious")
    path = tmp_path / ".m.part.json"
    path.symlink_to(tmp_path / "other")
    with pytest.raises(OSError, match="symbolic"):
        Journal(path).read()
    Journal(path).begin(ORIGIN)
    assert (tmp_path / "other").read_text() == "precious"
    assert not path.is_symlink()


LIMITS = Limits(first_piece=40, min_piece=20, max_piece=50, piece_seconds=2)


def test_pieces_are_the_gaps_in_their_order() -> None:
    pieces = Pieces(200, Spans([Span(10, 100)]), LIMITS)
    spans = []
    while piece := pieces.take(speed=15.0):  # two seconds of it
        spans.append((piece.start, piece.end))
    assert spans == [(0, 10), (100, 130), (130, 160), (160, 190), (190, 200)]


@pytest.mark.parametrize(("speed", "size"), [(None, 40), (1.0, 20), (17.0, 34), (1000.0, 50)])
def test_pieces_take_about_as_long_as_they_should(speed: float | None, size: int) -> None:
    piece = Pieces(1000, Spans(), LIMITS).take(speed)
    assert piece is not None
    assert len(piece.span) == size


def test_a_little_rest_is_taken_along() -> None:
    piece = Pieces(54, Spans(), LIMITS).take(1000.0)
    assert piece is not None
    assert piece.end == 54


def test_what_a_connection_did_not_bring_is_missing_again() -> None:
    pieces = Pieces(100, Spans(), LIMITS)
    first = pieces.take()
    assert first is not None
    assert pieces.advance(first, 15) == 15
    pieces.release(first)
    second = pieces.take()
    assert second is not None
    assert (second.start, second.end) == (15, 55)
    pieces.advance(second, 40)
    assert pieces.covered == pieces.fetched == 55
    assert not pieces.complete
    third = pieces.take()
    assert third is not None
    assert pieces.advance(third, len(third.span)) == 95
    assert pieces.snapshot().to_lists() == [[0, 95]]


def test_the_end_of_the_slowest_piece_is_taken_over() -> None:
    mib = 1024 * 1024
    pieces = Pieces(8 * mib, Spans(), Limits(first_piece=8 * mib))
    slow = pieces.take()
    assert slow is not None
    slow.began -= 10
    pieces.advance(slow, mib)
    taken = pieces.take(speed=mib / 10 * 6)  # six times as fast
    assert taken is not None
    assert taken.end == 8 * mib
    assert slow.end == taken.start == pytest.approx(2 * mib, rel=0.01)
    assert pieces.room(slow) == slow.end - mib


def test_a_fast_piece_is_left_alone_and_a_silent_one_taken_whole() -> None:
    mib = 1024 * 1024
    pieces = Pieces(8 * mib, Spans(), Limits(first_piece=8 * mib))
    piece = pieces.take()
    assert piece is not None
    piece.began = time.monotonic() - 0.1
    pieces.advance(piece, 7 * mib)
    assert pieces.take() is None
    piece.last -= 4
    taken = pieces.take()
    assert taken is not None
    assert (taken.start, taken.end) == (7 * mib, 8 * mib)
    assert pieces.room(piece) == 0


def test_a_piece_that_has_only_begun_is_not_divided() -> None:
    mib = 1024 * 1024
    pieces = Pieces(8 * mib, Spans(), Limits(first_piece=8 * mib))
    piece = pieces.take()
    assert piece is not None
    assert pieces.take(speed=1.0) is None
    piece.began -= 60  # a gate was shut for so long
    piece.last -= 60
    taken = pieces.take()
    assert taken is not None
    assert not pieces.begin(piece)
    assert pieces.begin(taken)
    assert pieces.take() is None


def test_a_file_of_unknown_size_is_one_piece() -> None:
    pieces = Pieces(None, Spans(), LIMITS)
    piece = pieces.take()
    assert piece is not None
    assert pieces.take() is None
    pieces.advance(piece, 7)
    assert not pieces.complete
    pieces.finish(7)
    assert pieces.complete
