"""Redirects: who sees the headers, and what is not followed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx
import pytest

from comfykit.errors import TransferError
from comfykit.fetch.redirects import Answer, Source, follow
from comfykit.fetch.urls import origin

SECRET = ("Authorization", "Bearer t")


@dataclass
class FakeResponse:
    status: int = 200
    fields: dict[str, str] = field(default_factory=dict)
    body: bytes = b"data"

    @property
    def headers(self) -> Mapping[str, str]:
        return httpx.Headers(self.fields)

    def chunks(self) -> Iterator[bytes]:
        yield self.body


class FakeTransport:
    """Answers from a table and remembers who was sent what."""

    def __init__(self, table: dict[str, FakeResponse]) -> None:
        self.table = table
        self.sent: list[tuple[str, dict[str, str]]] = []

    @contextmanager
    def get(self, url: str, headers: Mapping[str, str]) -> Iterator[FakeResponse]:
        self.sent.append((url, dict(headers)))
        yield self.table[url]


def redirect(to: str, status: int = 302, **fields: str) -> FakeResponse:
    return FakeResponse(status, {"Location": to, **{k.replace("_", "-"): v for k, v in fields.items()}})


def ask(transport: FakeTransport, url: str, *headers: tuple[str, str], bound_to: str | None = None) -> Answer:
    source = Source(url, headers, origin(bound_to or url), user_agent="agent")
    with follow(transport, source) as answer:
        return answer


def test_headers_stay_with_the_origin_they_were_written_for() -> None:
    transport = FakeTransport(
        {
            "https://hub/m": redirect("/moved", 307),
            "https://hub/moved": redirect("https://cdn/m?sig=1"),
            "https://cdn/m?sig=1": redirect("https://hub/back"),
            "https://hub/back": FakeResponse(),
        }
    )
    assert ask(transport, "https://hub/m", SECRET).url == "https://hub/back"
    seen = [("Authorization" in headers, headers["User-Agent"]) for _, headers in transport.sent]
    assert seen == [(True, "agent"), (True, "agent"), (False, "agent"), (False, "agent")]


@pytest.mark.parametrize("other", ["https://hub:8443/m", "https://sub.hub/m", "https://hub.evil/m"])
def test_another_port_or_name_is_another_origin(other: str) -> None:
    transport = FakeTransport({"https://hub/m": redirect(other), other: FakeResponse()})
    ask(transport, "https://hub/m", SECRET)
    assert "Authorization" not in transport.sent[1][1]


def test_a_source_on_another_origin_gets_no_headers() -> None:
    transport = FakeTransport({"https://mirror/m": FakeResponse()})
    ask(transport, "https://mirror/m", SECRET, bound_to="https://hub/m")
    assert "Authorization" not in transport.sent[0][1]


def test_the_hubs_own_hash_and_size_are_taken_from_the_redirect() -> None:
    first = redirect("https://cdn/m", X_Linked_ETag=f'"{"a" * 64}"', X_Linked_Size="4")
    transport = FakeTransport(
        {"https://hub/m": first, "https://cdn/m": FakeResponse(fields={"ETag": '"x-1"'})}
    )
    answer = ask(transport, "https://hub/m")
    assert (answer.sha256, answer.size) == ("a" * 64, 4)


@pytest.mark.parametrize(
    ("location", "words"),
    [
        ("http://hub/m", "https to http"),
        ("file:///etc/passwd", "not followed"),
        ("ftp://hub/m", "not followed"),
        ("", "to nowhere"),
        ("https://u:p@hub/m", "not followed"),
    ],
)
def test_redirects_that_are_not_followed(location: str, words: str) -> None:
    transport = FakeTransport({"https://hub/m": redirect(location)})
    with pytest.raises(TransferError, match=words):
        ask(transport, "https://hub/m")
    assert len(transport.sent) == 1


def test_a_circle_of_redirects_ends() -> None:
    transport = FakeTransport({"https://hub/m": redirect("https://hub/m?token=secret"),
                               "https://hub/m?token=secret": redirect("https://hub/m")})  # fmt: skip
    with pytest.raises(TransferError, match="more than 20 redirects") as caught:
        ask(transport, "https://hub/m")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "words"), [(401, "login"), (403, "login"), (404, "no such file"), (410, "no such file"),
                          (206, "206"), (204, "204"), (429, "429"), (500, "500")]
)  # fmt: skip
def test_an_answer_that_is_not_the_file(status: int, words: str) -> None:
    transport = FakeTransport({"https://hub/m": FakeResponse(status)})
    with pytest.raises(TransferError, match=words):
        ask(transport, "https://hub/m")


def test_a_coded_answer_is_refused() -> None:
    transport = FakeTransport({"https://hub/m": FakeResponse(200, {"Content-Encoding": "gzip"})})
    with pytest.raises(TransferError, match="gzip"):
        ask(transport, "https://hub/m")
