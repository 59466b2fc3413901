"""The graphics protocol of kitty, which Ghostty and others speak as well.

https://sw.kovidgoyal.net/kitty/graphics-protocol/
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator

from PIL import Image

from comfykit.cli.pictures.box import Box

CHUNK = 4096  # most characters of base64 in one sequence, by the protocol


def draw(picture: Image.Image, box: Box) -> str:
    """The sequences that send a picture and show it in a box whose first cell the cursor is in.

    `a=T` sends and shows, `f=100` is PNG, `c` and `r` are columns and rows, `C=1` leaves the cursor where it
    is, `q=2` asks for no answer, `m=1` says that more is to come.
    """
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    data = base64.standard_b64encode(buffer.getvalue()).decode("ascii")
    return "".join(_sequences(data, f"a=T,f=100,q=2,C=1,c={box.columns},r={box.rows}"))


def _sequences(data: str, keys: str) -> Iterator[str]:
    for begin in range(0, len(data), CHUNK):
        more = int(begin + CHUNK < len(data))
        own = f"{keys},m={more}" if begin == 0 else f"m={more}"
        yield f"\x1b_G{own};{data[begin : begin + CHUNK]}\x1b\\"
