"""The engine against servers on this machine: parts, resuming, changing sources, and what it refuses."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from comfykit.errors import FetchError, Interrupted, TransferError
from comfykit.events import Event, TransferAdvanced, TransferStarted, Warned
from comfykit.fetch.backend import Job, Received
from comfykit.fetch.engine import Engine
from comfykit.fetch.limits import Limits
from comfykit.fetch.partial import Partial, claim
from comfykit.fetch.source import Expected, Source
from fetch_support import Answer, Server, serving, sha256, status, whole

KIB = 1024
DATA = bytes(i * 7 % 253 for i in range(300 * KIB))
OTHER = bytes(reversed(DATA))
SHA = Expected(sha256=sha256(DATA), said_by="list.txt:1")
SMALL = Limits(
    answer_seconds=2,
    silence_seconds=1,
    tries=3,
    backoff_seconds=0.01,
    race_seconds=0.3,
    race_bytes=8 * KIB,
    connections=4,
    first_piece=64 * KIB,
    min_piece=16 * KIB,
    max_piece=32 * KIB,
    note_seconds=0.01,
    flush_seconds=0.02,
)


@pytest.fixture
def server() -> Iterator[Server]:
    with serving({}) as running:
        yield running


def ranged(
    data: bytes, etag: str | None = '"1"', until: int | None = None, gate: threading.Event | None = None
) -> Answer:
    """A file with parts; bytes from `until` on wait for `gate`, or for ever break the connection."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", handler.headers.get("Range", ""))
        assert asked
        start, end = int(asked[1]), min(int(asked[2] or len(data)) + 1, len(data))
        handler.send_response(206)
        handler.send_header("Content-Length", str(end - start))
        handler.send_header("Content-Range", f"bytes {start}-{end - 1}/{len(data)}")
        if etag:
            handler.send_header("ETag", etag)
        handler.end_headers()
        stop = end if until is None else max(min(end, until), start)
        handler.wfile.write(data[start:stop])
        if stop < end and gate is not None:
            gate.wait(20)
            handler.wfile.write(data[stop:end])
        elif stop < end:
            handler.close_connection = True

    return answer


class Desk:
    """Fetches into one folder with engines that are made anew each time, as processes do."""

    def __init__(self, folder: Path) -> None:
        self.target = folder / "m.bin2"
        self.events: list[Event] = []
        self.cancel = threading.Event()

    def fetch(
        self,
        *urls: str,
        expected: Expected = SHA,
        then: Callable[[Partial], object] = Partial.publish,
        **limits: float,
    ) -> Received:
        engine = Engine(replace(SMALL, **limits))  # type: ignore[arg-type]
        try:
            with claim(self.target, self.cancel, lambda: None) as partial:
                job = Job("models/x/m.bin2", tuple(map(Source, urls)), expected)
                received = engine.receive(job, partial, self.cancel, self.events.append)
                then(partial)
                return received
        finally:
            engine.close()

    def warnings(self) -> str:
        return "\n".join(event.message for event in self.events if isinstance(event, Warned))

    def names(self) -> set[str]:
        return {path.name for path in self.target.parent.iterdir()}


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


LEFT = {".m.bin2.part", ".m.bin2.part.json"}


def asked_for(server: Server) -> list[str]:
    return [headers.get("range", "") for _, headers in server.seen]


def half(desk: Desk, server: Server, etag: str | None = '"1"', *, expected: Expected = SHA) -> None:
    """Leave a partial file with about half of the bytes."""
    gate = threading.Event()
    server.answers["/m"] = ranged(DATA, etag, until=150 * KIB, gate=gate)

    def report(event: Event) -> None:
        if isinstance(event, TransferAdvanced) and event.done >= 100 * KIB:
            desk.cancel.set()

    desk.events = Reports(report)
    with pytest.raises(Interrupted):
        desk.fetch(f"{server.url}/m", expected=expected, connections=1)
    gate.set()
    desk.cancel, desk.events = threading.Event(), []
    assert desk.names() == LEFT
    server.seen.clear()


class Reports(list[Event]):
    """A list that calls somebody for everything that is put into it."""

    def __init__(self, call: Callable[[Event], None]) -> None:
        super().__init__()
        self._call = call

    def append(self, event: Event) -> None:
        self._call(event)


def test_parts_come_over_several_connections(desk: Desk, server: Server) -> None:
    server.answers["/m"] = ranged(DATA)
    received = desk.fetch(f"{server.url}/m")
    assert desk.target.read_bytes() == DATA
    assert (received.size, received.sha256, received.fetched) == (len(DATA), sha256(DATA), len(DATA))
    assert desk.names() == {"m.bin2"}
    assert asked_for(server)[0] == f"bytes=0-{64 * KIB - 1}"
    assert len(server.seen) > 4
    assert desk.events[0] == TransferStarted("models/x/m.bin2", f"{server.url}/m", len(DATA))
    assert desk.events[-1] == TransferAdvanced("models/x/m.bin2", len(DATA))


def test_a_server_without_parts_sends_one_stream(desk: Desk, server: Server) -> None:
    server.answers["/m"] = whole(DATA)
    assert desk.fetch(f"{server.url}/m").sha256 == sha256(DATA)
    assert len(server.seen) == 1


def test_what_was_there_is_not_fetched_again(desk: Desk, server: Server) -> None:
    half(desk, server)
    server.answers["/m"] = ranged(DATA)
    received = desk.fetch(f"{server.url}/m")
    assert desk.target.read_bytes() == DATA
    assert received.sha256 == sha256(DATA)
    assert received.fetched <= 200 * KIB
    assert all(int(text[6:].partition("-")[0]) >= 100 * KIB for text in asked_for(server))
    assert server.seen[0][1]["if-range"] == '"1"'


@pytest.mark.parametrize("expected", [SHA, Expected()])
def test_a_file_that_became_another_one_starts_again(desk: Desk, server: Server, expected: Expected) -> None:
    half(desk, server, expected=expected)
    server.answers["/m"] = ranged(DATA, '"2"')
    assert desk.fetch(f"{server.url}/m", expected=expected).fetched == len(DATA)
    assert desk.target.read_bytes() == DATA
    assert "the file on the server has changed; starting again" in desk.warnings()


def test_without_anything_to_tell_it_by_it_starts_again(desk: Desk, server: Server) -> None:
    half(desk, server, expected=Expected())
    server.answers["/m"] = ranged(DATA, None)
    assert desk.fetch(f"{server.url}/m", expected=Expected()).fetched == len(DATA)
    assert "does not tell" in desk.warnings()


def test_another_mirror_goes_on_where_a_checksum_will_decide(desk: Desk, server: Server) -> None:
    half(desk, server)
    server.answers["/mirror"] = ranged(DATA, '"other"')
    assert desk.fetch(f"{server.url}/mirror").fetched <= 200 * KIB
    assert desk.target.read_bytes() == DATA


def test_another_mirror_starts_again_where_none_would(desk: Desk, server: Server) -> None:
    half(desk, server, expected=Expected())
    server.answers["/mirror"] = ranged(DATA, '"1"')
    assert desk.fetch(f"{server.url}/mirror", expected=Expected()).fetched == len(DATA)
    assert "no checksum would decide" in desk.warnings()


def test_a_whole_partial_with_a_checksum_asks_nobody(desk: Desk, server: Server) -> None:
    half(desk, server)
    server.answers["/m"] = ranged(DATA)

    def killed(partial: Partial) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        desk.fetch(f"{server.url}/m", then=killed)
    server.seen.clear()
    received = desk.fetch(f"{server.url}/m")
    assert (received.sha256, received.fetched) == (sha256(DATA), 0)
    assert server.seen == []
    assert desk.target.read_bytes() == DATA


def test_a_whole_partial_without_one_is_asked_about(desk: Desk, server: Server) -> None:
    half(desk, server, expected=Expected())
    server.answers["/m"] = ranged(DATA)
    with pytest.raises(ZeroDivisionError):
        desk.fetch(f"{server.url}/m", expected=Expected(), then=lambda partial: 1 // 0)
    server.seen.clear()
    assert desk.fetch(f"{server.url}/m", expected=Expected()).fetched == 0
    assert len(server.seen) == 1
    assert desk.target.read_bytes() == DATA


@pytest.mark.parametrize(
    "spoil",
    [
        lambda part, journal: journal.write_text("{"),
        lambda part, journal: journal.write_text('{"version": 99}\n'),
        lambda part, journal: journal.write_bytes(b"\0" * 200),
        lambda part, journal: part.write_bytes(b"short"),
        lambda part, journal: journal.write_text(journal.read_text().replace(sha256(DATA), "0" * 64)),
    ],
)
def test_a_journal_that_cannot_be_right_is_not_believed(
    desk: Desk, server: Server, spoil: Callable[[Path, Path], object]
) -> None:
    half(desk, server)
    folder = desk.target.parent
    spoil(folder / ".m.bin2.part", folder / ".m.bin2.part.json")
    server.answers["/m"] = ranged(DATA)
    assert desk.fetch(f"{server.url}/m").fetched == len(DATA)
    assert desk.target.read_bytes() == DATA
    assert desk.warnings().count("starting again") == 1


def test_a_connection_that_breaks_goes_on_from_its_last_byte(desk: Desk, server: Server) -> None:
    answers = [ranged(DATA, until=10 * KIB), ranged(DATA, until=20 * KIB)]

    def answer(handler: BaseHTTPRequestHandler) -> None:
        (answers.pop(0) if answers else ranged(DATA))(handler)

    server.answers["/m"] = answer
    assert desk.fetch(f"{server.url}/m", connections=1).fetched == len(DATA)
    assert desk.target.read_bytes() == DATA


def test_a_source_that_always_breaks_is_given_up_and_what_came_is_kept(desk: Desk, server: Server) -> None:
    server.answers["/m"] = ranged(DATA, until=10 * KIB)
    with pytest.raises(TransferError, match="the connection broke"):
        desk.fetch(f"{server.url}/m", connections=1)
    assert desk.names() == LEFT
    server.answers["/m"] = ranged(DATA)
    assert desk.fetch(f"{server.url}/m").fetched <= len(DATA) - 10 * KIB


def test_a_silent_mirror_is_replaced_while_the_file_is_in_flight(desk: Desk, server: Server) -> None:
    gate = threading.Event()
    server.answers["/slow"] = ranged(DATA, until=50 * KIB, gate=gate)
    server.answers["/good"] = ranged(DATA, '"2"')
    urls = ("http://127.0.0.1:1/m", f"{server.url}/slow", f"{server.url}/good")
    received = desk.fetch(*urls, connections=1)
    gate.set()
    assert desk.target.read_bytes() == DATA
    assert [source.url for source in received.sources] == [urls[2], urls[1]]
    assert received.fetched == len(DATA)
    assert "no connection" in desk.warnings()
    assert "nothing arrived" in desk.warnings()


def test_a_mirror_that_is_slow_to_begin_is_overtaken(desk: Desk, server: Server) -> None:
    gate = threading.Event()
    server.answers["/slow"] = ranged(DATA, until=5 * KIB, gate=gate)
    server.answers["/good"] = ranged(DATA)
    received = desk.fetch(f"{server.url}/slow", f"{server.url}/good", expected=Expected())
    gate.set()
    assert [source.url for source in received.sources] == [f"{server.url}/good"]
    assert desk.target.read_bytes() == DATA


def test_a_link_that_expires_is_asked_for_again(desk: Desk, server: Server) -> None:
    links: list[str] = []

    def hub(handler: BaseHTTPRequestHandler) -> None:
        links.append(f"/signed{len(links)}")
        server.answers[links[-1]] = once_or_twice(2)
        status(302, Location=links[-1])(handler)

    def once_or_twice(most: int) -> Answer:
        served: list[int] = []

        def answer(handler: BaseHTTPRequestHandler) -> None:
            served.append(1)
            (ranged(DATA) if len(served) <= most else status(403))(handler)

        return answer

    server.answers["/m"] = hub
    received = desk.fetch(f"{server.url}/m", connections=1)
    assert received.sha256 == sha256(DATA)
    assert len(links) > 2
    assert received.sources[0].url == f"{server.url}/m"


def test_a_file_that_changes_while_it_comes_starts_again_once(desk: Desk, server: Server) -> None:
    count = [0]

    def answer(handler: BaseHTTPRequestHandler) -> None:
        count[0] += 1
        (ranged(OTHER, '"old"') if count[0] <= 2 else ranged(DATA, '"new"'))(handler)

    server.answers["/m"] = answer
    assert desk.fetch(f"{server.url}/m", connections=1).sha256 == sha256(DATA)
    assert "changed while it was fetched" in desk.warnings()


def test_a_file_that_never_stays_the_same_fails(desk: Desk, server: Server) -> None:
    count = [0]

    def answer(handler: BaseHTTPRequestHandler) -> None:
        count[0] += 1
        ranged(DATA, f'"{count[0]}"')(handler)

    server.answers["/m"] = answer
    with pytest.raises(FetchError, match="changed while it was fetched"):
        desk.fetch(f"{server.url}/m")


def test_a_server_that_forgets_about_parts_is_asked_for_all_in_one(desk: Desk, server: Server) -> None:
    count = [0]

    def answer(handler: BaseHTTPRequestHandler) -> None:
        count[0] += 1
        (ranged(DATA) if count[0] == 1 else whole(DATA, ETag='"1"'))(handler)

    server.answers["/m"] = answer
    assert desk.fetch(f"{server.url}/m", connections=1).sha256 == sha256(DATA)
    assert desk.target.read_bytes() == DATA
    assert "instead of a part; starting again" in desk.warnings()


@pytest.mark.parametrize("code", [429, 503])
def test_a_busy_server_is_asked_again(desk: Desk, server: Server, code: int) -> None:
    answers = [status(code, Retry_After="0"), ranged(DATA), status(code, Retry_After="0")]

    def answer(handler: BaseHTTPRequestHandler) -> None:
        (answers.pop(0) if answers else ranged(DATA))(handler)

    server.answers["/m"] = answer
    assert desk.fetch(f"{server.url}/m").sha256 == sha256(DATA)


def test_bytes_of_another_size_or_hash_are_refused_before_they_come(desk: Desk, server: Server) -> None:
    server.answers["/m"] = ranged(DATA)
    with pytest.raises(FetchError, match=r"list\.txt:1 says 5"):
        desk.fetch(f"{server.url}/m", expected=Expected(5, None, "list.txt:1"))
    server.answers["/m"] = status(302, Location="/b", X_Linked_ETag=f'"{"a" * 64}"')
    server.answers["/b"] = ranged(DATA)
    with pytest.raises(FetchError, match="announces sha-256 aaa"):
        desk.fetch(f"{server.url}/m")
    assert desk.names() == set()


def test_a_limit_of_speed_is_no_reason_to_give_up(desk: Desk, server: Server) -> None:
    server.answers["/m"] = ranged(DATA)
    desk.fetch(f"{server.url}/m", max_rate=2.0 * len(DATA), slow_rate=10.0 * len(DATA), slow_seconds=0.1)
    assert desk.target.read_bytes() == DATA
