from __future__ import annotations

import pytest

from comfykit.doctor.units import size


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1536 * 2**10, "1.5 MiB"),
        (24 * 2**30, "24.0 GiB"),
        (2000 * 2**30, "2000.0 GiB"),
    ],
)
def test_size(count: int, words: str) -> None:
    assert size(count) == words
