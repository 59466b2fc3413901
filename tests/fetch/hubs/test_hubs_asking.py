"""Questions to a hub's interface, over real connections to this machine."""

from __future__ import annotations

import json
import time
from http.server import BaseHTTPRequestHandler

import pytest

from comfykit.errors import TransferError
from comfykit.fetch.hubs.asking import MAX_BYTES, asking
from comfykit.fetch.tokens import Tokens, read_tokens
from fetch_support import Answer, serving, status, whole

NOTHING = Tokens()


def trickle(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    for _ in range(100):
        handler.wfile.write(b" ")
        time.sleep(0.02)


def test_an_answer_is_read_with_the_token_of_its_host_alone() -> None:
    with serving({"/a": whole(json.dumps({"b": 1}).encode())}) as own, serving({"/a": b"[]"}) as other:
        tokens = read_tokens({"HOME": "/nowhere"}, {own.url: "hush"})
        with asking(tokens) as ask:
            assert ask(f"{own.url}/a") == {"b": 1}
            assert ask(f"{other.url}/a") == []
        assert own.seen[0][1]["authorization"] == "Bearer hush"
        assert "authorization" not in other.seen[0][1]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (status(404), "answered 404"),
        (status(302, Location="/b"), "answered 302"),
        (b"<html>", "no JSON"),
        (b"[" * 100_000, "no JSON"),
        (whole(b" " * (MAX_BYTES + 1)), "more than"),
        (trickle, "within 0.5 s"),
    ],
)
def test_an_answer_that_is_none(answer: Answer | bytes, words: str) -> None:
    with serving({"/a": answer, "/b": b"{}"}) as server:
        with (
            asking(NOTHING, seconds=0.5 if answer is trickle else 10) as ask,
            pytest.raises(TransferError) as caught,
        ):
            ask(f"{server.url}/a")
        assert words in str(caught.value)
        assert [path for path, _ in server.seen] == ["/a"]


def test_nobody_there_is_an_error() -> None:
    with serving({}) as server:
        url = server.url
    with asking(NOTHING) as ask, pytest.raises(TransferError, match="did not answer"):
        ask(f"{url}/a?token=hush")
