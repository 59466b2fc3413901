from __future__ import annotations

import threading
import time

import pytest

from comfykit.doctor.sources.limited import look_at


def test_looks_run_side_by_side() -> None:
    both = threading.Barrier(2)
    looked = look_at({"a": both.wait, "b": both.wait}, {"a": 20, "b": 20})
    assert set(looked.values) == {"a", "b"}
    assert looked.late == ()


def test_one_that_hangs_is_left_behind() -> None:
    never = threading.Event()
    start = time.monotonic()
    looked = look_at({"stuck": never.wait, "quick": lambda: 1}, {"stuck": 0.1, "quick": 20})
    assert (looked.values, looked.late) == ({"quick": 1}, ("stuck",))
    assert time.monotonic() - start < 15
    never.set()


def test_what_one_raises_is_raised() -> None:
    def fail() -> None:
        raise KeyError("oh")

    with pytest.raises(KeyError):
        look_at({"a": fail}, {"a": 20})
