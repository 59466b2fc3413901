from __future__ import annotations

import io

import pytest
from workflow_files import PNG_START, chunk, png, text

from comfykit.errors import WorkflowError
from comfykit.workflow.png import read_texts


class Pipe(io.BytesIO):
    """A stream that cannot go back, as standard input is."""

    def seekable(self) -> bool:
        return False

    def seek(self, *_: int) -> int:
        raise io.UnsupportedOperation("seek")


@pytest.mark.parametrize("kind", [io.BytesIO, Pipe])
def test_texts_that_are_wanted(kind: type[io.BytesIO]) -> None:
    data = png(text("Software", "x"), text("a", "1"), text("a", "2"), after=text("b", "3"))
    stream = kind(data[len(PNG_START) :])
    assert read_texts(stream, "p.png", ("a", "b", "c")) == {"a": "1", "b": "3"}


def test_pixels_are_passed_over_unread() -> None:
    class Counting(io.BytesIO):
        count = 0

        def read(self, size: int | None = -1, /) -> bytes:
            data = super().read(size)
            self.count += len(data)
            return data

    pixels = chunk(b"IDAT", bytes(5_000_000))
    stream = Counting(png(pixels, after=text("a", "1"))[len(PNG_START) :])
    assert read_texts(stream, "p.png", ("a",)) == {"a": "1"}
    assert stream.count < 200


def test_reading_ends_with_the_last_text_wanted() -> None:
    stream = io.BytesIO(text("a", "1") + b"anything")
    assert read_texts(stream, "p.png", ("a",)) == {"a": "1"}


def test_a_text_chunk_that_claims_gigabytes() -> None:
    with pytest.raises(WorkflowError, match="larger than 64 MiB"):
        read_texts(io.BytesIO(b"\x7f\xff\xff\xfftEXta\0"), "p.png", ("a",))


def test_latin_1_as_the_specification_has_it() -> None:
    assert read_texts(io.BytesIO(png(text("a", "é"))[8:]), "p.png", ("a",)) == {"a": "é"}
