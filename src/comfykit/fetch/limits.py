"""Numbers that steer transfers, in one place: tests make them small."""

from __future__ import annotations

from dataclasses import dataclass

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """When to give up, how much at once. Seconds, bytes, and bytes a second."""

    # A connection is dropped without an answer, without a byte, or with fewer than slow_rate bytes a second.
    connect_seconds: float = 15.0
    answer_seconds: float = 60.0
    silence_seconds: float = 30.0
    slow_rate: float = 1024.0
    slow_seconds: float = 30.0

    # Failures in a row, without a MiB in between, before a file is given up; waits between them double.
    tries: int = 5
    backoff_seconds: float = 0.5
    longest_wait: float = 300.0  # of what a server's Retry-After may ask

    # The next source is asked too when one has not sent its first MiB by then; the first to do so leads.
    race_seconds: float = 2.0
    race_bytes: int = MIB

    connections: int = 16  # for one file
    host_connections: int = 32  # to one host, for all files
    max_rate: float | None = None  # for everything together

    # The first request; then pieces of about piece_seconds each. nginx's limit_rate grants the first
    # second of each request at once, and with small pieces little is lost when a connection breaks.
    first_piece: int = 8 * MIB
    min_piece: int = 2 * MIB
    max_piece: int = 8 * MIB
    piece_seconds: float = 2.0
    # A connection that is faster than this is not helped by another one.
    fast_rate: float = 64.0 * MIB

    # How often the journal notes what is written, and what has been flushed to the disk.
    note_seconds: float = 0.25
    flush_seconds: float = 1.0
