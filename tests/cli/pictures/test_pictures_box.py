from __future__ import annotations

import pytest

from comfykit.cli.pictures.box import Box, Cell


@pytest.mark.parametrize(
    ("within", "size", "cell", "expected"),
    [
        (Box(60, 24), (512, 512), Cell(8, 16), Box(48, 24)),
        (Box(60, 24), (16, 16), Cell(8, 16), Box(48, 24)),
        (Box(60, 24), (512, 512), Cell(10, 10), Box(24, 24)),
        (Box(60, 24), (1024, 256), Cell(8, 16), Box(60, 8)),
        (Box(60, 24), (256, 1024), Cell(8, 16), Box(12, 24)),
        (Box(60, 24), (1, 5000), Cell(8, 16), Box(1, 24)),
        (Box(60, 24), (5000, 1), Cell(8, 16), Box(60, 1)),
        (Box(1, 1), (512, 512), Cell(8, 16), Box(1, 1)),
    ],
)
def test_proportions_are_kept(within: Box, size: tuple[int, int], cell: Cell, expected: Box) -> None:
    assert within.holding(size, cell) == expected
