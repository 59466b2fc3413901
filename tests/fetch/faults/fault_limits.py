"""Small pieces and short waits: a few hundred kilobytes come as gigabytes do otherwise."""

from __future__ import annotations

from dataclasses import fields

from comfykit.fetch.limits import Limits

KIB = 1024
QUICK: dict[str, float] = {
    "connect_seconds": 3.0,
    "answer_seconds": 1.5,
    "silence_seconds": 1.5,
    "slow_rate": 20_000.0,
    "slow_seconds": 1.5,
    "tries": 4,
    "backoff_seconds": 0.02,
    "longest_wait": 1.0,
    "race_seconds": 0.5,
    "race_bytes": 16 * KIB,
    "connections": 4,
    "first_piece": 64 * KIB,
    "min_piece": 32 * KIB,
    "max_piece": 128 * KIB,
    "piece_seconds": 0.2,
    "note_seconds": 0.02,
    "flush_seconds": 0.1,
}


def defaults(**changes: float) -> tuple[object, ...]:
    """Defaults of `Limits` with some of them changed, for `Limits.__init__.__defaults__`."""
    changed: dict[str, object] = {**QUICK, **changes}
    return tuple(changed.get(field.name, field.default) for field in fields(Limits))
