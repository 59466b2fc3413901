"""aria2's control file, read and written. That aria2 itself agrees is in test_aria2_daemon.py."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from comfykit.fetch.aria2_control import BLOCK_BYTES, PIECE_BYTES, read_control, write_control
from comfykit.fetch.spans import Span, Spans

# As aria2 1.36 wrote it for a file of 40,000,000 bytes: nine pieces and the starts of two more.
RECORDED = bytes.fromhex(
    "0001" "00000000" "00000000" "00100000" "0000000002625a00" "0000000000000000"
    "00000005" "e0380e0000" "00000002"
    "00000003" "00100000" "00000008" "ffc0000000000000"
    "0000000d" "00100000" "00000008" "8000000000000000"
)  # fmt: skip


def test_a_recorded_file_is_read() -> None:
    mib, block = PIECE_BYTES, BLOCK_BYTES
    size, done = read_control(RECORDED)
    assert size == 40_000_000
    assert done.to_lists() == [
        [0, 3 * mib + 10 * block],
        [10 * mib, 13 * mib + block],
        [20 * mib, 23 * mib],
    ]


def test_what_was_read_is_written_alike() -> None:
    assert write_control(*read_control(RECORDED)) == RECORDED


@pytest.mark.parametrize(
    ("done", "kept"),
    [
        ([], []),
        ([[0, 100]], []),
        ([[0, BLOCK_BYTES + 1]], [[0, BLOCK_BYTES]]),
        ([[1, 3 * BLOCK_BYTES]], [[BLOCK_BYTES, 3 * BLOCK_BYTES]]),
        ([[0, 3_000_001]], [[0, 3_000_001]]),
        ([[PIECE_BYTES, 3_000_001]], [[PIECE_BYTES, 3_000_001]]),
        ([[3_000_000, 3_000_001]], []),
    ],
)
def test_only_whole_blocks_are_claimed(done: list[list[int]], kept: list[list[int]]) -> None:
    size, spans = read_control(write_control(3_000_001, Spans.from_lists(done)))
    assert (size, spans.to_lists()) == (3_000_001, kept)


@settings(deadline=None, max_examples=50)
@given(
    st.integers(1, 5 * PIECE_BYTES),
    st.lists(st.integers(0, 5 * PIECE_BYTES), max_size=8),
)
def test_nothing_is_claimed_that_is_not_there(total: int, cuts: list[int]) -> None:
    cuts = sorted({min(cut, total) for cut in cuts})
    done = Spans(Span(a, b) for a, b in zip(cuts[::2], cuts[1::2], strict=False))
    size, kept = read_control(write_control(total, done))
    assert size == total
    assert all(any(a.start <= b.start and b.end <= a.end for a in done) for b in kept)
    assert 0 <= done.covered - kept.covered <= 2 * BLOCK_BYTES * len(done.to_lists())


@pytest.mark.parametrize("length", range(len(RECORDED)))
def test_a_torn_file_is_refused(length: int) -> None:
    with pytest.raises(ValueError, match="control file"):
        read_control(RECORDED[:length])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (b"\0\0" + RECORDED[2:], "version 0"),
        (RECORDED + b"\0", "another length"),
        (bytes(len(RECORDED)), "version 0"),  # what a power cut may leave
        (RECORDED[:10] + struct.pack(">I", 0) + RECORDED[14:], "contradicts itself"),
        (RECORDED.replace(b"\xe0\x38\x0e\0\0", b"\xe0\x38\x0e\0\1"), "outside"),
    ],
)
def test_nonsense_is_refused(change: bytes, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        read_control(change)
