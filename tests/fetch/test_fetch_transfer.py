"""One file from its mirrors onto the disk, over a real connection to this machine."""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from pathlib import Path, PurePosixPath

import pytest

from comfykit.errors import FetchError, Interrupted, TransferError, VerificationError
from comfykit.events import Event, TransferAdvanced, TransferEnded, TransferStarted, Warned
from comfykit.fetch.engine import Engine
from comfykit.fetch.entry import ManifestEntry
from comfykit.fetch.limits import Limits
from comfykit.fetch.mirrors import Mirror
from comfykit.fetch.partial import Partial, claim
from comfykit.fetch.transfer import Courier, fetch_file, sources
from comfykit.home import Home
from fetch_support import (
    PAGE,
    Answer,
    Server,
    files_below,
    safetensors,
    serving,
    sha256,
    short,
    status,
    whole,
)

DATA = safetensors(5000)
QUICK = Limits(silence_seconds=1, answer_seconds=1, tries=2, backoff_seconds=0.01)
TARGET = PurePosixPath("vae/a.safetensors")


@pytest.fixture
def server() -> Iterator[Server]:
    with serving({}) as running:
        yield running


class Desk:
    """A courier with its home, and what it reported."""

    def __init__(self, root: Path, engine: Engine, **more: object) -> None:
        self.home = Home(root)
        self.events: list[Event] = []
        self.cancel = threading.Event()
        self.courier = Courier(self.home, engine, self.events.append, self.cancel, **more)  # type: ignore[arg-type]

    def fetch(self, *urls: str, **more: object) -> str:
        entry = ManifestEntry(urls, TARGET, "list.txt", 1, **more)  # type: ignore[arg-type]
        return fetch_file(entry, self.courier).note

    def files(self) -> dict[str, bytes]:
        return files_below(self.home.root)

    def rejected(self) -> object:
        """The bytes that were put aside, which are all there is, with the reason beside them."""
        files = self.files()
        aside = files.pop("models/vae/.a.safetensors.rejected")
        assert set(files) == {"models/vae/.a.safetensors.rejected.txt"}
        return aside


@pytest.fixture
def engine() -> Iterator[Engine]:
    engine = Engine(QUICK)
    yield engine
    engine.close()


@pytest.fixture
def desk(tmp_path: Path, engine: Engine) -> Desk:
    return Desk(tmp_path, engine)


def test_a_file_arrives_verified_and_reported(desk: Desk, server: Server) -> None:
    server.answers["/a?token=t"] = DATA
    assert desk.fetch(server.url + "/a?token=t", sha256=sha256(DATA)) == "verified"
    assert desk.files() == {"models/vae/a.safetensors": DATA}
    name = "models/vae/a.safetensors"
    assert desk.events[0] == TransferStarted(name, server.url + "/a?token=***", len(DATA))
    assert desk.events[-2:] == [TransferAdvanced(name, len(DATA)), TransferEnded(name, len(DATA))]
    assert server.seen[0][1]["accept-encoding"] == "identity"
    assert server.seen[0][1]["user-agent"].startswith("comfykit/")


def test_the_hubs_hash_verifies_when_the_manifest_has_none(desk: Desk, server: Server) -> None:
    server.answers["/a"] = status(302, Location="/b", X_Linked_ETag=f'"{sha256(DATA)}"')
    server.answers["/b"] = DATA
    assert desk.fetch(server.url + "/a") == "verified by the hub's own checksum"
    (desk.home.models / TARGET).unlink()
    server.answers["/b"] = safetensors(5000, seed=1)
    with pytest.raises(VerificationError, match="the hub says"):
        desk.fetch(server.url + "/a")
    assert desk.rejected() == server.answers["/b"]


def test_without_any_hash_it_is_said_to_be_unverified(desk: Desk, server: Server) -> None:
    server.answers["/a"] = DATA
    assert desk.fetch(server.url + "/a").startswith("not verified")


def gzipped(handler: BaseHTTPRequestHandler) -> None:
    whole(DATA, Content_Encoding="gzip")(handler)


def cut_chunks(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    handler.wfile.write(b"%x\r\n" % len(DATA) + DATA + b"\r\n")
    handler.close_connection = True


def without_length(handler: BaseHTTPRequestHandler) -> None:
    """Cut off, and nothing in HTTP says so."""
    handler.send_response(200)
    handler.send_header("Connection", "close")
    handler.end_headers()
    handler.wfile.write(DATA[:-10])
    handler.close_connection = True


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (status(404), TransferError, "no such file"),
        (status(401), TransferError, "login"),
        (status(302, Location="/a"), TransferError, "more than 20 redirects"),
        (whole(PAGE, "text/html"), VerificationError, "HTML page titled 'Please log in'"),
        (whole(b'{"error": "gated"}', "application/json"), VerificationError, "gated"),
        (whole(b""), VerificationError, "empty"),
        (short(DATA[:-100], len(DATA)), TransferError, "connection broke"),
        (cut_chunks, TransferError, "connection broke"),
        (gzipped, TransferError, "gzip"),
    ],
)
def test_a_wrong_answer_leaves_nothing(
    desk: Desk, server: Server, answer: Answer, kind: type[FetchError], words: str
) -> None:
    server.answers["/a"] = answer
    with pytest.raises(kind, match=words) as caught:
        desk.fetch(server.url + "/a")
    assert desk.files() == {}
    assert desk.events[-1] == TransferEnded("models/vae/a.safetensors", 0, str(caught.value))


def test_a_file_that_was_cut_off_without_a_word_is_put_aside(desk: Desk, server: Server) -> None:
    server.answers["/a"] = without_length
    with pytest.raises(VerificationError, match="cut off"):
        desk.fetch(server.url + "/a")
    assert desk.rejected() == DATA[:-10]


def test_other_bytes_than_the_checksum_are_put_aside(desk: Desk, server: Server) -> None:
    server.answers["/a"] = DATA
    with pytest.raises(VerificationError, match=sha256(DATA)) as caught:
        desk.fetch(server.url + "/a", sha256="a" * 64)
    assert "a" * 64 in str(caught.value)
    assert desk.rejected() == DATA


def test_mirrors_are_tried_in_turn(desk: Desk, server: Server) -> None:
    server.answers.update(
        {"/page": PAGE, "/short": short(DATA[:2000], len(DATA)), "/good": DATA, "/last": DATA}
    )
    desk.fetch(*(server.url + path for path in ("/none", "/page", "/short", "/good", "/last")))
    assert [path for path, _ in server.seen] == ["/none", "/page", "/short", "/good"]
    assert desk.files() == {"models/vae/a.safetensors": DATA}
    assert len([event for event in desk.events if isinstance(event, Warned)]) == 3


def test_when_no_mirror_gives_the_file_all_reasons_are_said(desk: Desk, server: Server) -> None:
    server.answers["/page"] = PAGE
    with pytest.raises(FetchError) as caught:
        desk.fetch(server.url + "/none", server.url + "/page")
    assert "no such file" in str(caught.value)
    assert "HTML page" in str(caught.value)


def test_a_server_that_is_not_there(desk: Desk) -> None:
    with pytest.raises(TransferError, match="no connection"):
        desk.fetch("http://127.0.0.1:1/a")


def test_headers_go_to_the_first_address_only(tmp_path: Path, engine: Engine, server: Server) -> None:
    with serving({"/a": DATA}) as other:
        server.answers["/a"] = status(404)
        Desk(tmp_path / "1", engine).fetch(
            server.url + "/a", other.url + "/a", headers=(("X-Token", "t"),), user_agent="mine"
        )
        assert server.seen[0][1]["x-token"] == "t"
        assert "x-token" not in other.seen[0][1]
        assert other.seen[0][1]["user-agent"] == "mine"


def test_headers_do_not_go_to_a_rewritten_address(tmp_path: Path, engine: Engine, server: Server) -> None:
    server.answers["/hub/a"] = DATA
    rules = [Mirror("https://hub.example/", server.url + "/hub/")]
    desk = Desk(tmp_path, engine, sources_for=lambda entry: sources(entry, rules))
    desk.fetch("https://hub.example/a", headers=(("Authorization", "t"),))
    assert "authorization" not in server.seen[0][1]


def test_cookies_are_not_carried(desk: Desk, server: Server) -> None:
    server.answers["/a"] = status(302, Location="/b", Set_Cookie="session=1; Path=/")
    server.answers["/b"] = DATA
    desk.fetch(server.url + "/a")
    assert "cookie" not in server.seen[1][1]


def trickle(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(DATA)))
    handler.end_headers()
    handler.wfile.write(DATA[:4200])
    for byte in DATA[4200:]:
        handler.wfile.write(bytes([byte]))
        time.sleep(0.05)


def test_a_trickle_is_ended(tmp_path: Path, server: Server) -> None:
    server.answers["/a"] = trickle
    desk = Desk(tmp_path, Engine(replace(QUICK, slow_rate=10_000, slow_seconds=0.4)))
    started = time.monotonic()
    with pytest.raises(TransferError, match="sent only"):
        desk.fetch(server.url + "/a")
    assert time.monotonic() - started < 5
    assert desk.files() == {}


def test_silence_is_ended(desk: Desk, server: Server) -> None:
    quiet = threading.Event()

    def silent(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(DATA)))
        handler.end_headers()
        handler.wfile.write(DATA[:4200])
        quiet.wait(10)

    server.answers["/a"] = silent
    with pytest.raises(TransferError, match="nothing arrived"):
        desk.fetch(server.url + "/a")
    quiet.set()


def test_headers_that_never_end_are_ended(desk: Desk, server: Server) -> None:
    done = threading.Event()

    def endless(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nX: ")
        while not done.wait(0.2):
            handler.wfile.write(b"x")

    server.answers["/a"] = endless
    with pytest.raises(TransferError, match="did not answer within 1 s"):
        desk.fetch(server.url + "/a")
    done.set()


def test_a_cancelled_transfer_leaves_nothing(desk: Desk, server: Server) -> None:
    server.answers["/a"] = trickle
    threading.Timer(0.3, desk.cancel.set).start()
    with pytest.raises(Interrupted):
        desk.fetch(server.url + "/a")
    assert desk.files() == {}


def test_a_file_larger_than_the_disk_is_refused_before_it_starts(desk: Desk, server: Server) -> None:
    server.answers["/a"] = short(DATA, 10**15)
    with pytest.raises(FetchError, match="free") as caught:
        desk.fetch(server.url + "/a")
    assert caught.value.facts["needed"] == 10**15
    assert desk.files() == {}


def test_a_full_disk_stops_the_file_and_asks_no_mirror(
    desk: Desk, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(partial: Partial) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Partial, "sync", full)
    server.answers.update({"/a": DATA, "/b": DATA})
    with pytest.raises(FetchError, match="No space left") as caught:
        desk.fetch(server.url + "/a", server.url + "/b")
    assert "make room" in str(caught.value.hint)
    assert [path for path, _ in server.seen] == ["/a"]
    assert desk.files() == {}


def test_a_folder_that_cannot_be_made_asks_nobody(desk: Desk, server: Server) -> None:
    desk.home.models.write_bytes(b"a file")
    with pytest.raises(FetchError, match="cannot be written"):
        desk.fetch(server.url + "/a")
    assert server.seen == []


def test_a_file_that_another_process_brings_is_not_fetched_again(desk: Desk, server: Server) -> None:
    waits = threading.Event()
    desk.courier = Courier(desk.home, desk.courier.backend, lambda event: waits.set(), desk.cancel)
    notes: list[str] = []
    thread = threading.Thread(target=lambda: notes.append(desk.fetch(server.url + "/a")))
    with claim(desk.home.models / TARGET, threading.Event(), lambda: None) as partial:
        thread.start()
        assert waits.wait(5)
        partial.file.write(DATA)
        partial.sync()
        partial.publish()
    thread.join(5)
    assert notes == ["there, not verified (the manifest has no checksum)"]
    assert server.seen == []


def test_what_came_in_between_is_not_overwritten(desk: Desk, server: Server) -> None:
    path = desk.home.models / TARGET
    path.parent.mkdir(parents=True)
    path.write_bytes(DATA)
    with pytest.raises(FetchError, match="asks for"):
        desk.fetch(server.url + "/a", sha256="a" * 64)
    assert path.read_bytes() == DATA
