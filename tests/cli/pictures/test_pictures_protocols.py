"""What each protocol sends, decoded again as its documentation says."""

from __future__ import annotations

import base64
import io
import re

import pytest
from PIL import Image
from rich.console import Console

from comfykit.cli.pictures import iterm2, kitty, sixel
from comfykit.cli.pictures.blocks import Blocks, pixels
from comfykit.cli.pictures.box import Box, Cell
from drawings import blocks_in, gradient, rows_of, sixel_in

BOX = Box(10, 5)


def noise(width: int, height: int) -> Image.Image:
    """Many bytes of PNG."""
    return Image.effect_noise((width, height), 80).convert("RGB")


def png(data: bytes) -> Image.Image:
    picture = Image.open(io.BytesIO(data))
    assert picture.format == "PNG"
    return picture


@pytest.mark.parametrize("picture", [gradient(20, 20), noise(200, 100), gradient(3, 2).convert("RGBA")])
def test_kitty(picture: Image.Image) -> None:
    sent = kitty.draw(picture, BOX)
    parts = re.findall(r"\x1b_G([^;]*);([A-Za-z0-9+/=]*)\x1b\\", sent)
    assert "".join(f"\x1b_G{keys};{data}\x1b\\" for keys, data in parts) == sent
    first, *others = [dict(key.split("=") for key in keys.split(",")) for keys, _ in parts]
    assert first == {
        "a": "T",
        "f": "100",
        "q": "2",
        "C": "1",
        "c": "10",
        "r": "5",
        "m": str(int(bool(others))),
    }
    assert [keys["m"] for keys in others] == ["1"] * (len(others) - 1) + ["0"] * bool(others)
    assert all(len(data) <= 4096 and (len(data) % 4 == 0) for _, data in parts)
    shown = png(base64.b64decode("".join(data for _, data in parts), validate=True))
    assert (shown.mode, shown.tobytes()) == (picture.mode, picture.tobytes())


def test_large_pictures_go_to_kitty_in_pieces() -> None:
    assert kitty.draw(noise(200, 100), BOX).count("\x1b_G") > 3


def test_iterm2() -> None:
    picture = noise(30, 20)
    found = re.fullmatch(r"\x1b\]1337;File=([^:]*):([A-Za-z0-9+/=]*)\x07", iterm2.draw(picture, BOX))
    assert found is not None
    keys = dict(key.split("=") for key in found[1].split(";"))
    data = base64.b64decode(found[2], validate=True)
    assert keys == {
        "inline": "1",
        "size": str(len(data)),
        "width": "10",
        "height": "5",
        "preserveAspectRatio": "1",
    }
    assert png(data).tobytes() == picture.tobytes()


@pytest.mark.parametrize("size", [(1, 1), (7, 6), (16, 12), (12, 13), (5, 20)])
def test_sixel(size: tuple[int, int]) -> None:
    picture = gradient(*size)
    drawn = sixel_in(sixel.encode(picture))
    expected = rows_of(picture.quantize(sixel.COLOURS))
    assert len(drawn) == len(expected)
    for row, wanted in zip(drawn, expected, strict=True):
        for pixel, colour in zip(row, wanted, strict=True):
            assert all(abs(a - b) <= 2 for a, b in zip(pixel, colour, strict=True))  # percents are rounded


def test_sixel_repeats_what_repeats() -> None:
    white = Image.new("RGB", (300, 12), "white")
    assert sixel.encode(white) == '\x1bP0;1;0q"1;1;300;12#0;2;100;100;100#0!300~-#0!300~\x1b\\'


def test_sixel_fills_its_box() -> None:
    drawn = sixel_in(sixel.draw(gradient(64, 64), BOX, Cell(9, 18)))
    assert (len(drawn), len(drawn[0])) == (5 * 18, 10 * 9)
    half = sixel.draw(Image.new("RGBA", (4, 4), (255, 255, 255, 0)), Box(1, 1), Cell(4, 4))
    assert sixel_in(half) == [[(0, 0, 0)] * 4] * 4, "what is transparent is black"


def printed(blocks: Blocks, colours: str = "truecolor") -> str:
    console = Console(
        file=io.StringIO(),
        force_terminal=True,
        color_system=colours,
        width=80,
        legacy_windows=False,
        _environ={},
    )  # type: ignore[arg-type]
    with console.capture() as captured:
        console.print(blocks)
    return captured.get()


def test_blocks_are_two_pixels_each() -> None:
    picture = gradient(10, 10)
    assert blocks_in(printed(Blocks(picture, BOX))) == rows_of(picture)


def test_blocks_are_means_of_what_they_cover() -> None:
    picture = gradient(40, 40)
    assert blocks_in(printed(Blocks(picture, BOX))) == rows_of(picture.resize((10, 10), Image.Resampling.BOX))
    assert pixels(gradient(2, 1).resize((4, 4), Image.Resampling.NEAREST), (1, 1)) == [[(128, 0, 128)]]


def test_terminals_with_few_colours_get_their_nearest() -> None:
    said = printed(Blocks(Image.new("RGB", (2, 2), "red"), Box(2, 1)), "256")
    assert "38;5;" in said or "\x1b[91;101m" in said
    assert said.count("▀") == 2
