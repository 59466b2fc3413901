"""From an address to the bytes: who sees the headers, what is not followed, what an answer may be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest

from comfykit.errors import TransferError
from comfykit.fetch.headers import Headers
from comfykit.fetch.line import Line
from comfykit.fetch.resolve import Remote, open_span, reach, resolve
from comfykit.fetch.retry import Cause
from comfykit.fetch.source import Source
from comfykit.fetch.spans import Span
from comfykit.fetch.urls import origin

SECRET = ("Authorization", "Bearer t")


@dataclass
class FakeAnswer:
    status: int = 206
    fields: dict[str, str] = field(default_factory=lambda: {"Content-Range": "bytes 0-0/9"})
    closed: bool = False

    @property
    def headers(self) -> Headers:
        return Headers(list(self.fields.items()))

    def readinto(self, view: memoryview) -> int:
        return 0

    def close(self) -> None:
        self.closed = True


class FakeWire:
    """Answers from a table and remembers who was sent what."""

    def __init__(self, table: dict[str, FakeAnswer]) -> None:
        self.table = table
        self.sent: list[tuple[str, dict[str, str]]] = []

    def get(self, url: str, headers: Mapping[str, str], line: Line) -> FakeAnswer:
        self.sent.append((url, dict(headers)))
        return self.table[url]

    def close(self) -> None:
        pass


def redirect(to: str, status: int = 302, **fields: str) -> FakeAnswer:
    return FakeAnswer(status, {"Location": to, **{k.replace("_", "-"): v for k, v in fields.items()}})


def ask(wire: FakeWire, url: str, *headers: tuple[str, str], bound_to: str | None = None) -> Remote:
    return resolve(wire, Source(url, headers, origin(bound_to or url), user_agent="agent"))


def test_headers_stay_with_the_origin_they_were_written_for() -> None:
    wire = FakeWire(
        {
            "https://hub/m": redirect("/moved", 307),
            "https://hub/moved": redirect("https://cdn/m?sig=1"),
            "https://cdn/m?sig=1": redirect("https://hub/back"),
            "https://hub/back": FakeAnswer(),
        }
    )
    remote = ask(wire, "https://hub/m", SECRET)
    assert (remote.url, remote.expires) == ("https://hub/back", True)
    assert "Authorization" not in remote.headers
    seen = [("Authorization" in headers, headers["User-Agent"]) for _, headers in wire.sent]
    assert seen == [(True, "agent"), (True, "agent"), (False, "agent"), (False, "agent")]
    assert all(answer.closed for answer in wire.table.values())


@pytest.mark.parametrize("other", ["https://hub:8443/m", "https://sub.hub/m", "https://hub.evil/m"])
def test_another_port_or_name_is_another_origin(other: str) -> None:
    wire = FakeWire({"https://hub/m": redirect(other), other: FakeAnswer()})
    ask(wire, "https://hub/m", SECRET)
    assert "Authorization" not in wire.sent[1][1]


def test_a_source_on_another_origin_gets_no_headers() -> None:
    wire = FakeWire({"https://mirror/m": FakeAnswer()})
    ask(wire, "https://mirror/m", SECRET, bound_to="https://hub/m")
    assert "Authorization" not in wire.sent[0][1]


def test_nothing_secret_is_in_what_is_printed() -> None:
    wire = FakeWire({"https://hub/m?token=t0p": FakeAnswer()})
    remote = ask(wire, "https://hub/m?token=t0p", ("Authorization", "Bearer t0p"))
    assert remote.headers["Authorization"] == "Bearer t0p"
    assert "t0p" not in repr(remote)


def test_the_hubs_own_hash_and_size_are_taken_from_the_redirect() -> None:
    first = redirect("https://cdn/m", X_Linked_ETag=f'"{"a" * 64}"', X_Linked_Size="9")
    last = FakeAnswer(fields={"ETag": '"x-1"', "Content-Range": "bytes 0-0/9", "Last-Modified": "then"})
    identity = ask(FakeWire({"https://hub/m": first, "https://cdn/m": last}), "https://hub/m").identity
    assert (identity.sha256, identity.announced_size, identity.size) == ("a" * 64, 9, 9)
    assert (identity.etag, identity.modified) == ('"x-1"', "then")


def test_another_size_than_the_hub_announced_is_another_file() -> None:
    wire = FakeWire({"https://hub/m": redirect("https://cdn/m", X_Linked_Size="8"),
                     "https://cdn/m": FakeAnswer()})  # fmt: skip
    with pytest.raises(TransferError, match="9 bytes, and the hub announced 8"):
        ask(wire, "https://hub/m")


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
    wire = FakeWire({"https://hub/m": redirect(location)})
    with pytest.raises(TransferError, match=words):
        ask(wire, "https://hub/m")
    assert len(wire.sent) == 1


def test_a_circle_of_redirects_ends() -> None:
    wire = FakeWire({"https://hub/m": redirect("https://hub/m?token=secret"),
                     "https://hub/m?token=secret": redirect("https://hub/m")})  # fmt: skip
    with pytest.raises(TransferError, match="more than 20 redirects") as caught:
        ask(wire, "https://hub/m")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "cause", "words"),
    [
        (401, Cause.REFUSED, "login"),
        (403, Cause.REFUSED, "login"),
        (404, Cause.MISSING, "no such file"),
        (410, Cause.MISSING, "no such file"),
        (451, Cause.MISSING, "legal"),
        (429, Cause.BUSY, "too many"),
        (503, Cause.BUSY, "503"),
        (204, Cause.ODD, "204"),
        (407, Cause.ODD, "proxy"),
        (418, Cause.ODD, "418"),
    ],
)
def test_an_answer_that_is_not_the_file(status: int, cause: Cause, words: str) -> None:
    wire = FakeWire({"https://hub/m": FakeAnswer(status, {"Retry-After": "7"})})
    with pytest.raises(TransferError, match=words) as caught:
        ask(wire, "https://hub/m")
    assert caught.value.facts["cause"] is cause
    assert caught.value.facts.get("wait") == (7.0 if cause is Cause.BUSY else None)
    assert wire.table["https://hub/m"].closed


@pytest.mark.parametrize("status", [200, 206])
def test_a_coded_answer_is_refused(status: int) -> None:
    fields = {"Content-Encoding": "gzip", "Content-Range": "bytes 0-0/9"}
    with pytest.raises(TransferError, match="gzip"):
        ask(FakeWire({"https://hub/m": FakeAnswer(status, fields)}), "https://hub/m")


def span_of(text: str | None, **more: str) -> tuple[int, int | None, int | None]:
    """What an answer to a question for bytes 4 to 7 is taken for: start, end and size of the file."""
    fields = {"Content-Range": text, **more} if text else more
    fields = {name.replace("_", "-"): value for name, value in fields.items()}
    wire = FakeWire({"https://hub/m": FakeAnswer(206, fields)})
    opened = reach(wire, Source("https://hub/m"), Span(4, 8), Line())
    assert wire.sent[0][1]["Range"] == "bytes=4-7"
    return opened.start, opened.end, opened.remote.identity.size


def test_a_part_may_be_shorter_than_asked_for() -> None:
    assert span_of("bytes 4-7/9", Content_Length="4") == (4, 8, 9)
    assert span_of("Bytes 4-5/9") == (4, 6, 9)


@pytest.mark.parametrize(
    "text",
    [
        "bytes 3-7/9",
        "bytes 4-8/9",
        "bytes 4-7/7",
        "bytes 4-3/9",
        "bytes 4-7/*",
        "bytes */9",
        "4-7/9",
        "bytes 4-7/9, bytes 1-2/9",
        "bytes 4-99999999999999999999/9",
        None,
    ],
)
def test_a_part_that_was_not_asked_for_is_not_used(text: str | None) -> None:
    with pytest.raises(TransferError, match=r"Content-Range|was asked for"):
        span_of(text)


def test_a_part_of_another_length_or_several_parts_are_not_used() -> None:
    with pytest.raises(TransferError, match="was asked for"):
        span_of("bytes 4-7/9", Content_Length="5")
    with pytest.raises(TransferError, match="several parts"):
        span_of("bytes 4-7/9", Content_Type="multipart/byteranges; boundary=x")


def test_a_whole_file_is_no_part() -> None:
    wire = FakeWire({"https://hub/m": FakeAnswer(200, {"Content-Length": "9", "ETag": '"a"'})})
    opened = reach(wire, Source("https://hub/m"), Span(4, 8), Line(), validator='"a"')
    assert (opened.start, opened.end, opened.remote.ranges) == (0, 9, False)
    assert wire.sent[0][1]["If-Range"] == '"a"'


@pytest.mark.parametrize(
    ("text", "words"),
    [("bytes */0", "it is empty"), ("bytes */9", "the file has 9"), ("", "no bytes from 0")],
)
def test_an_answer_that_the_file_ends_before(text: str, words: str) -> None:
    wire = FakeWire({"https://hub/m": FakeAnswer(416, {"Content-Range": text})})
    with pytest.raises(TransferError, match=words):
        ask(wire, "https://hub/m")


@pytest.mark.parametrize(("status", "fields"), [(403, {}), (400, {}), (410, {}), (302, {"Location": "/"})])
def test_a_link_that_worked_and_does_no_more_has_expired(status: int, fields: dict[str, str]) -> None:
    wire = FakeWire({"https://hub/m": redirect("https://cdn/m"), "https://cdn/m": FakeAnswer()})
    remote = ask(wire, "https://hub/m")
    wire.table["https://cdn/m"] = FakeAnswer(status, fields)
    with pytest.raises(TransferError) as caught:
        open_span(wire, remote, Span(0, 1), Line())
    assert caught.value.facts["cause"] is Cause.EXPIRED


def test_a_refusal_says_whether_a_token_is_missing_or_does_not_suffice() -> None:
    url = "https://huggingface.co/o/r/resolve/main/m"
    refused = FakeAnswer(403, {"X-Error-Code": "GatedRepo"})
    hints = []
    for headers, token_from in (((), None), ((SECRET,), "HF_TOKEN")):
        with pytest.raises(TransferError) as caught:
            resolve(FakeWire({url: refused}), Source(url, headers, origin(url), token_from=token_from))
        hints.append(caught.value.hint or "")
    assert "set HF_TOKEN" in hints[0]
    assert "the token of HF_TOKEN has to accept the terms at https://huggingface.co/o/r;" in hints[1]
