"""Names that addresses give without anybody being asked; asking itself is tested with the hubs."""

from __future__ import annotations

import pytest

from comfykit.errors import UsageError
from comfykit.fetch.guide import Guide
from comfykit.services.naming import name_of


@pytest.mark.parametrize(
    ("text", "url", "name"),
    [
        ("hf://o/r/a.pt@v1", "https://huggingface.co/o/r/resolve/v1/a.pt", "a.pt"),
        ("https://h.example/b.pt?x=1", "https://h.example/b.pt?x=1", "b.pt"),
        ("https://h.example/download", "https://h.example/download", None),
    ],
)
def test_an_address_that_tells_is_not_asked_about(text: str, url: str, name: str | None) -> None:
    assert name_of(text, Guide()) == (url, name)


def test_what_is_no_address_is_said() -> None:
    with pytest.raises(UsageError, match="names no file"):
        name_of("hf://o/r", Guide())
