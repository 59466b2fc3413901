"""Addresses that are requested, and how they are shown."""

from __future__ import annotations

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from comfykit.fetch.urls import clean_url, file_name, host, origin, redact


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "ftp://host/a",
        "data:text/plain,a",
        "gopher://host/a",
        "javascript:alert(1)",
        "host/a.pt",
        "//host/a.pt",
        "https:///a.pt",
        "https://",
        "https://user:secret@host/a.pt",
        "https://huggingface.co@evil.com/a.pt",
        "https://huggingface.co\\@evil.com/a.pt",
        "https://ho st/a.pt",
        "https://host/a.pt#b",
        "https://host:99999/a.pt",
        "https://host:0/a.pt",
        "https://host:port/a.pt",
        "https://[::1/a.pt",
        "https://hôst/a.pt",
        "https://host?x=1",
        "https://host/" + "a" * 9000,
    ],
)
def test_addresses_that_are_not_requested(url: str) -> None:
    with pytest.raises(ValueError, match=r".+") as caught:
        clean_url(url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "clean"),
    [
        ("https://host/a.pt", "https://host/a.pt"),
        ("HTTP://127.0.0.1:8080/a%20b?x=1&y=a/b", "HTTP://127.0.0.1:8080/a%20b?x=1&y=a/b"),
        ("https://[::1]:8/a", "https://[::1]:8/a"),
        ("https://host/模.pt", "https://host/%E6%A8%A1.pt"),
    ],
)
def test_addresses_that_are_requested(url: str, clean: str) -> None:
    assert clean_url(url) == clean


@given(st.text(alphabet="abc:/@?#[].%\\ \t1é-_~", max_size=30))
def test_the_host_that_is_checked_is_the_host_that_is_asked(text: str) -> None:
    try:
        url = clean_url("https://" + text)
    except ValueError:
        return
    try:
        asked = httpx.URL(url)
    except httpx.InvalidURL:
        return
    assert origin(url)[1] == asked.host
    assert origin(url)[2] == (asked.port or 443)
    assert not asked.userinfo


def test_queries_are_shown_without_what_may_be_secret() -> None:
    shown = redact("https://host/a?token=abc&Revision=main&FilePath=x/y&X-Amz-Signature=s&key=")
    assert shown == "https://host/a?token=***&Revision=main&FilePath=x/y&X-Amz-Signature=***&key=***"
    assert redact("https://u:p@host/a") == "https://host/a"
    assert "s3cret" not in redact("https://[broken/?token=s3cret")


def test_origin_has_the_usual_ports() -> None:
    assert origin("https://Host/a") == ("https", "host", 443)
    assert host("http://h:80/") == "h"
    assert host("http://h:81/") == "h:81"


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://h/a/b.pt?x=c.d", "b.pt"),
        ("https://h/a%20b.pt", "a b.pt"),
        ("https://h/a/", None),
        ("https://h/api/download/123", None),
        ("https://h/.hidden", None),
    ],
)
def test_the_name_in_an_address(url: str, name: str | None) -> None:
    assert file_name(url) == name
