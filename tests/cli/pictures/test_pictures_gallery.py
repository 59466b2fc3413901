from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from PIL import Image
from rich.console import Console

from comfykit.cli.pictures import gallery
from comfykit.cli.pictures.box import SMALL_CELL, Box
from comfykit.cli.pictures.gallery import LARGEST, MOST, Gallery, opened
from comfykit.cli.pictures.terminal import Graphics, Terminal
from drawings import blocks_in, gradient, rows_of


class Wall:
    """A gallery on a screen of its own."""

    def __init__(self, graphics: Graphics, columns: int = 80, rows: int = 40) -> None:
        self.console = Console(
            file=io.StringIO(), force_terminal=True, color_system="truecolor", width=columns, height=rows,
            legacy_windows=False, soft_wrap=True, _environ={},
        )  # fmt: skip
        self.gallery = Gallery(self.console, Terminal(graphics, SMALL_CELL))

    def show(self, *paths: Path) -> str:
        with self.console.capture() as captured:
            self.gallery.show(paths)
        return captured.get()


def saved(folder: Path, name: str, picture: Image.Image) -> Path:
    path = folder / name
    picture.save(path)
    return path


@pytest.mark.parametrize("graphics", ["kitty", "iterm2", "sixel"])
def test_sequences_are_drawn_over_lines_that_are_there(graphics: Graphics, tmp_path: Path) -> None:
    said = Wall(graphics, rows=8).show(saved(tmp_path, "a.png", gradient(64, 64)))
    rows = 4
    begins = {"kitty": "\x1b_G", "iterm2": "\x1b]1337;", "sixel": "\x1bP"}
    head = "\n" * rows + f"\x1b[{rows}A\x1b7"
    assert said.startswith(head + begins[graphics])
    assert said.endswith(f"\x1b8\x1b[{rows}B")
    assert said.count(begins[graphics]) >= 1


def test_blocks_show_the_picture(tmp_path: Path) -> None:
    picture = gradient(96, 48)
    said = Wall("blocks").show(saved(tmp_path, "a.png", picture))
    assert blocks_in(said) == rows_of(picture.resize((60, 30), Image.Resampling.BOX))


def test_a_small_terminal_is_not_overrun(tmp_path: Path) -> None:
    path = saved(tmp_path, "a.png", gradient(64, 64))
    rows = blocks_in(Wall("blocks", columns=12, rows=40).show(path))
    assert (len(rows), len(rows[0])) == (12, 11)
    rows = blocks_in(Wall("blocks", columns=80, rows=10).show(path))
    assert (len(rows), len(rows[0])) == (12, 12)
    assert len(blocks_in(Wall("blocks", columns=1, rows=1).show(path))) == 2


def test_nothing_for_a_terminal_that_shows_nothing(tmp_path: Path) -> None:
    assert Wall("none").show(saved(tmp_path, "a.png", gradient(8, 8))) == ""


def test_files_that_are_no_pictures_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "a.latent").write_bytes(b"\x00" * 64)
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    last = saved(tmp_path, "c.webp", gradient(8, 8))
    said = Wall("blocks").show(tmp_path / "a.latent", tmp_path / "none.png", tmp_path / "broken.png", last)
    assert len(blocks_in(said)) == 2 * LARGEST.rows


def test_of_many_pictures_the_first_are_shown(tmp_path: Path) -> None:
    paths = [saved(tmp_path, f"{number}.png", gradient(8, 8)) for number in range(MOST + 2)]
    assert len(blocks_in(Wall("blocks").show(*paths))) == MOST * 2 * LARGEST.rows


def test_pictures_are_upright_and_no_larger_than_needed(tmp_path: Path) -> None:
    turned = Image.Exif()
    turned[0x0112] = 6
    picture = gradient(20, 10).resize((2000, 1000))
    picture.save(tmp_path / "a.jpg", exif=turned)
    shown = opened(tmp_path / "a.jpg")
    assert shown is not None
    assert shown.size == (512, 1024)
    faint = opened(saved(tmp_path, "b.png", Image.new("RGBA", (4, 4), (1, 2, 3, 4))))
    assert faint is not None
    assert faint.mode == "RGBA"


def test_previews_are_small_and_of_blocks_everywhere() -> None:
    asked: list[int] = []

    def make(side: int) -> Image.Image:
        asked.append(side)
        return gradient(16, 16)

    wall = Wall("kitty")
    assert wall.gallery.live
    with wall.console.capture() as captured:
        wall.console.print(wall.gallery.preview(make))
    assert asked == [gallery.PREVIEW_PIXELS]
    assert blocks_in(captured.get()) == rows_of(gradient(16, 16).resize((32, 32), Image.Resampling.NEAREST))
    assert not Wall("none").gallery.live
    assert re.search("_G|1337", captured.get()) is None


def test_room_is_left_for_text() -> None:
    assert Wall("kitty", columns=50, rows=20).gallery.room(Box(60, 24)) == Box(49, 16)
