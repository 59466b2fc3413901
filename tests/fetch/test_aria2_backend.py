"""Files through aria2c, over real connections to this machine: right, resumed, refused, handed over."""

from __future__ import annotations

import os
import random
import re
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from comfykit.errors import FetchError, Interrupted, TransferError, VerificationError
from comfykit.events import Event, Reporter, TransferAdvanced, TransferStarted, Warned
from comfykit.fetch.aria2 import Aria2Backend
from comfykit.fetch.aria2_folder import Folder
from comfykit.fetch.backend import Job, Received
from comfykit.fetch.journal import Origin
from comfykit.fetch.limits import Limits
from comfykit.fetch.partial import Partial, claim
from comfykit.fetch.source import Expected, Source
from comfykit.fetch.spans import Span, Spans
from comfykit.fetch.urls import origin
from comfykit.fetch.wire import SocketWire
from fetch_support import PAGE, Answer, Server, environment, serving, sha256, status, whole

MIB = 1024 * 1024
DATA = random.Random(0).randbytes(6 * MIB + 12_345)
LIMITS = Limits(tries=3, backoff_seconds=0.01, connections=4, flush_seconds=0.1)
NAME = "models/x/a.dat"


def ranged(data: bytes, etag: str | None = '"one"', rate: float | None = None, **headers: str) -> Answer:
    """A file whose parts can be asked for, at most `rate` bytes a second on each connection."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", handler.headers.get("Range", ""))
        condition = handler.headers.get("If-Range")
        start, end = 0, len(data)
        if asked and condition in (None, etag, headers.get("Last_Modified")):
            start, end = int(asked[1]), min(int(asked[2] or len(data)) + 1, len(data))
            handler.send_response(206)
            handler.send_header("Content-Range", f"bytes {start}-{end - 1}/{len(data)}")
        else:
            handler.send_response(200)
        handler.send_header("Content-Length", str(end - start))
        for name, value in {**({"ETag": etag} if etag else {}), **headers}.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        try:
            for at in range(start, end, 64 * 1024):
                block = data[at : min(at + 64 * 1024, end)]
                if rate:
                    time.sleep(len(block) / rate)
                handler.wfile.write(block)
        except OSError:  # the client has enough
            handler.close_connection = True

    return answer


def in_turn(*answers: Answer) -> Answer:
    """One answer for each request, the last one for all that follow."""
    left = list(answers)

    def answer(handler: BaseHTTPRequestHandler) -> None:
        (left.pop(0) if len(left) > 1 else left[0])(handler)

    return answer


class Elsewhere:
    """The other backend: notes what it was asked for."""

    name = "other"

    def __init__(self) -> None:
        self.jobs: list[Job] = []

    def receive(self, job: Job, partial: Partial, cancel: threading.Event, report: Reporter) -> Received:
        self.jobs.append(job)
        return Received(1, None, job.sources[:1])

    def close(self) -> None:
        pass


@dataclass
class Desk:
    """A backend, a place for files, and what was reported."""

    folder: Path
    limits: Limits = LIMITS
    other: Elsewhere = field(default_factory=Elsewhere)
    events: list[Event] = field(default_factory=list)
    cancel: threading.Event = field(default_factory=threading.Event)
    on_event: Callable[[Event], None] = lambda event: None

    def __post_init__(self) -> None:
        self.wire = SocketWire(self.limits)
        self.backend = Aria2Backend(self.wire, self.limits, self.other)

    def report(self, event: Event) -> None:
        self.events.append(event)
        self.on_event(event)

    def fetch(self, *sources: str | Source, name: str = NAME, **expected: object) -> tuple[Received, bytes]:
        """What the backend says and what it wrote; the file does not get its final name."""
        asked = tuple(Source(one) if isinstance(one, str) else one for one in sources)
        job = Job(name, asked, Expected(**expected))  # type: ignore[arg-type]
        with self.partial() as partial:
            received = self.backend.receive(job, partial, self.cancel, self.report)
            return received, partial.path.read_bytes()

    @contextmanager
    def partial(self) -> Iterator[Partial]:
        with claim(self.folder / "x" / "a.dat", self.cancel, lambda: None) as partial:
            yield partial

    def warnings(self) -> list[str]:
        return [event.message for event in self.events if isinstance(event, Warned)]

    def names(self) -> list[str]:
        return sorted(path.name for path in self.folder.rglob("*") if path.is_file())


@pytest.fixture
def server() -> Iterator[Server]:
    with serving({}) as running:
        yield running


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path)
    yield desk
    desk.backend.close()


def test_a_file_arrives_and_is_reported(desk: Desk, server: Server) -> None:
    server.answers["/a?token=t"] = ranged(DATA)
    received, data = desk.fetch(server.url + "/a?token=t", sha256=sha256(DATA))
    assert data == DATA
    assert (received.size, received.sha256, received.fetched) == (len(DATA), sha256(DATA), len(DATA))
    assert [source.url for source in received.sources] == [server.url + "/a?token=t"]
    assert desk.events[0] == TransferStarted(NAME, server.url + "/a?token=***", len(DATA))
    assert desk.events[-1] == TransferAdvanced(NAME, len(DATA))
    assert desk.names() == [".a.dat.part", ".a.dat.part.json"]
    assert all("token=t" not in repr(event) for event in desk.events)


def test_several_ranges_are_in_flight(desk: Desk, server: Server) -> None:
    server.answers["/a"] = ranged(DATA, rate=2_000_000)
    assert desk.fetch(server.url + "/a")[1] == DATA
    starts = {headers["range"] for _, headers in server.seen if "range" in headers}
    assert len(starts) >= 3  # the first look, and parts that aria2 asked for
    assert all(headers.get("if-range", '"one"') == '"one"' for _, headers in server.seen)


def test_nothing_is_left_beside_models_or_in_the_temporary_folder(
    desk: Desk, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    server.answers["/a"] = ranged(DATA)
    desk.fetch(server.url + "/a")
    assert [path.name.startswith("comfykit-aria2-") for path in temporary.iterdir()] == [True]
    desk.backend.close()
    assert list(temporary.iterdir()) == []


def interrupt_at(desk: Desk, count: int) -> None:
    """Cancel the run when so many bytes have come."""

    def watch(event: Event) -> None:
        if isinstance(event, TransferAdvanced) and event.done >= count:
            desk.cancel.set()

    desk.on_event = watch


def test_an_interrupted_file_goes_on_where_it_stopped(desk: Desk, server: Server) -> None:
    server.answers["/a"] = ranged(DATA, rate=1_000_000)
    interrupt_at(desk, 2 * MIB)
    with pytest.raises(Interrupted):
        desk.fetch(server.url + "/a")
    with desk.partial() as partial:
        record = partial.journal.read()
        assert record is not None
        there = record.done.covered
        assert there >= MIB
        data = partial.path.read_bytes()
        assert all(data[span.start : span.end] == DATA[span.start : span.end] for span in record.done)
    desk.cancel.clear()
    desk.on_event = lambda event: None
    server.answers["/a"] = ranged(DATA)
    received, data = desk.fetch(server.url + "/a")
    assert data == DATA
    assert received.fetched <= len(DATA) - there + 16 * 1024


def begin(desk: Desk, url: str, done: Spans, etag: str = '"one"', sha: str | None = None) -> None:
    """A partial file as another backend leaves it."""
    with desk.partial() as partial:
        for span in done:
            os.pwrite(partial.fileno, DATA[span.start : span.end], span.start)
        partial.journal.begin(Origin(url, len(DATA), etag, None, sha), done)


def test_it_goes_on_from_what_another_backend_left(desk: Desk, server: Server) -> None:
    url = server.url + "/a"
    server.answers["/a"] = ranged(DATA)
    begin(desk, url, Spans([Span(0, 3 * MIB), Span(4 * MIB, 5 * MIB + 100)]))
    received, data = desk.fetch(url)
    assert (data, received.sha256) == (DATA, sha256(DATA))
    assert received.fetched <= len(DATA) - 4 * MIB
    assert desk.warnings() == []


def test_a_complete_partial_file_is_not_fetched_again(desk: Desk, server: Server) -> None:
    url = server.url + "/a"
    server.answers["/a"] = ranged(DATA)
    begin(desk, url, Spans([Span(0, len(DATA))]))
    received, data = desk.fetch(url)
    assert (data, received.fetched) == (DATA, 0)


def test_what_is_there_of_another_file_is_thrown_away(desk: Desk, server: Server) -> None:
    url = server.url + "/a"
    other = bytes(reversed(DATA))
    server.answers["/a"] = ranged(other, etag='"two"')
    begin(desk, url, Spans([Span(0, 3 * MIB)]))
    assert desk.fetch(url)[1] == other
    assert desk.warnings() == [f"{NAME}: the file on the server has changed; starting again"]


def test_another_mirror_goes_on_where_a_checksum_will_decide(desk: Desk, server: Server) -> None:
    server.answers["/b"] = ranged(DATA, etag='"of the mirror"')
    begin(desk, "http://elsewhere.example/a", Spans([Span(0, 3 * MIB)]), sha=sha256(DATA))
    received, data = desk.fetch(server.url + "/b", sha256=sha256(DATA))
    assert data == DATA
    assert received.fetched <= len(DATA) - 3 * MIB


def test_what_another_address_gave_is_not_used_where_no_checksum_decides(desk: Desk, server: Server) -> None:
    other = bytes(reversed(DATA))
    server.answers["/b"] = ranged(other)  # of the same size and, by chance, ETag
    begin(desk, "http://elsewhere.example/a", Spans([Span(0, 3 * MIB)]))
    assert desk.fetch(server.url + "/b")[1] == other
    assert "no checksum would decide" in desk.warnings()[0]


def test_a_file_of_another_size_than_at_the_first_look_has_changed(desk: Desk, server: Server) -> None:
    new = DATA + b"more"
    server.answers["/a"] = in_turn(ranged(DATA), ranged(new, etag='"two"'))
    received, data = desk.fetch(server.url + "/a", sha256=sha256(new))
    assert (data, received.size) == (new, len(new))
    assert "has changed" in desk.warnings()[0]


def test_without_etags_the_date_keeps_parts_of_another_file_out(desk: Desk, server: Server) -> None:
    """Looks and aria2's first request, for all of it, see the old file; those for a part the new one."""
    old = ranged(DATA, None, 2_000_000, Last_Modified="Wed, 21 Oct 2015 07:28:00 GMT")
    new = ranged(bytes(reversed(DATA)), None, Last_Modified="Thu, 22 Oct 2015 07:28:00 GMT")

    def mixed(handler: BaseHTTPRequestHandler) -> None:
        part = handler.headers.get("Range", "bytes=0-4095") != "bytes=0-4095"
        (new if part else old)(handler)

    server.answers["/a"] = mixed
    assert desk.fetch(server.url + "/a")[1] == DATA
    assert any("if-range" in headers for _, headers in server.seen)


def test_a_file_that_never_stays_the_same_goes_to_the_other_backend(desk: Desk, server: Server) -> None:
    small, large = ranged(DATA[:MIB]), ranged(DATA)

    def torn(handler: BaseHTTPRequestHandler) -> None:
        (small if handler.headers.get("Range") == "bytes=0-4095" else large)(handler)

    server.answers["/a"] = torn
    received, _ = desk.fetch(server.url + "/a")
    assert len(desk.other.jobs) == 1
    assert "has changed" in received.note


def test_a_size_that_no_disk_holds_is_refused_before_aria2_is_asked(desk: Desk, server: Server) -> None:
    def huge(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(206)
        handler.send_header("Content-Range", f"bytes 0-4095/{10**15}")
        handler.send_header("Content-Length", "4096")
        handler.end_headers()
        handler.wfile.write(DATA[:4096])

    server.answers["/a"] = huge
    with pytest.raises(FetchError, match="free"):
        desk.fetch(server.url + "/a")
    assert desk.backend.daemon.pid is None


def test_what_lies_behind_the_end_is_cut_off(desk: Desk, server: Server) -> None:
    url = server.url + "/a"
    server.answers["/a"] = ranged(DATA)
    begin(desk, url, Spans([Span(0, len(DATA))]))
    with (desk.folder / "x" / ".a.dat.part").open("ab") as file:
        file.write(b"junk")
    assert desk.fetch(url)[1] == DATA


def test_a_torn_journal_is_said_and_costs_only_what_was_there(desk: Desk, server: Server) -> None:
    url = server.url + "/a"
    server.answers["/a"] = ranged(DATA)
    begin(desk, url, Spans([Span(0, 3 * MIB)]))
    (desk.folder / "x" / ".a.dat.part.json").write_text('{"version": 99}\n')
    assert desk.fetch(url)[1] == DATA
    assert "another version" in desk.warnings()[0]


def test_a_file_that_changes_on_its_way_begins_again(desk: Desk, server: Server) -> None:
    """aria2 alone would join the halves and be content."""
    url, new = server.url + "/a", bytes(reversed(DATA))
    server.answers["/a"] = ranged(DATA, rate=1_000_000)

    def change(event: Event) -> None:
        if isinstance(event, TransferAdvanced) and event.done > MIB:
            server.answers["/a"] = ranged(new, etag='"two"')

    desk.on_event = change
    assert desk.fetch(url)[1] == new
    assert any("changed while it was fetched" in words for words in desk.warnings())


def test_a_change_that_aria2_cannot_see_is_found_by_asking_again(desk: Desk, server: Server) -> None:
    """Between our look and its first request, which asks for no part; the size stays the same."""
    new = bytes(reversed(DATA))
    server.answers["/a"] = ranged(DATA)
    desk.on_event = lambda event: server.answers.update({"/a": ranged(new, etag='"two"')})
    received, data = desk.fetch(server.url + "/a")
    assert (data, received.sha256) == (new, sha256(new))
    assert any("changed while it was fetched" in words for words in desk.warnings())


def test_a_link_that_expires_is_resolved_again(desk: Desk, server: Server) -> None:
    """A signed link: a few requests, then 403, as GitHub's after five minutes."""
    issued: list[str] = []

    def sign(handler: BaseHTTPRequestHandler) -> None:
        path = f"/signed/{len(issued)}"
        issued.append(path)
        # The third link lasts: five that give less than a MiB each would be given up.
        after = status(403) if len(issued) <= 2 else ranged(DATA)
        server.answers[path] = in_turn(*[ranged(DATA, rate=3_000_000)] * 3, after)
        handler.send_response(302)
        handler.send_header("Location", server.url.replace("127.0.0.1", "localhost") + path)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    server.answers["/a"] = sign
    assert desk.fetch(server.url + "/a")[1] == DATA
    assert len(issued) >= 2


def test_a_broken_connection_is_tried_again(desk: Desk, server: Server) -> None:
    def cut(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(206)
        handler.send_header("Content-Range", f"bytes 0-{len(DATA) - 1}/{len(DATA)}")
        handler.send_header("Content-Length", str(len(DATA)))
        handler.send_header("ETag", '"one"')
        handler.end_headers()
        handler.wfile.write(DATA[:100_000])
        handler.close_connection = True

    fine = ranged(DATA)
    server.answers["/a"] = in_turn(fine, cut, cut, fine)
    assert desk.fetch(server.url + "/a")[1] == DATA


def test_the_next_source_is_asked_and_the_failure_told(desk: Desk, server: Server) -> None:
    server.answers["/b"] = ranged(DATA)
    received, data = desk.fetch(server.url + "/a", server.url + "/b")
    assert data == DATA
    assert [source.url for source in received.sources] == [server.url + "/b"]
    assert "404" in desk.warnings()[0]


def test_all_sources_are_named_when_none_has_it(desk: Desk, server: Server) -> None:
    with pytest.raises(TransferError, match=r"404.*; .*404"):
        desk.fetch(server.url + "/a", server.url.replace("127.0.0.1", "localhost") + "/b")
    assert desk.names() == []


def test_a_page_is_refused_before_anything_is_written(desk: Desk, server: Server) -> None:
    server.answers["/a"] = ranged(PAGE)
    with pytest.raises(VerificationError, match="HTML page titled 'Please log in'"):
        desk.fetch(server.url + "/a", name="models/x/a.safetensors")
    assert desk.names() == []
    assert desk.backend.daemon.pid is None


def test_a_wrong_size_is_refused(desk: Desk, server: Server) -> None:
    server.answers["/a"] = ranged(DATA)
    with pytest.raises(TransferError, match=rf"a file of {len(DATA)} bytes, and list:1 says 5"):
        desk.fetch(server.url + "/a", size=5, said_by="list:1")


@pytest.mark.parametrize(
    ("answer", "why"),
    [(whole(DATA), "sends no parts"), (whole(DATA, Accept_Ranges="none"), "sends no parts")],
)
def test_what_cannot_be_resumed_goes_to_the_other_backend(
    desk: Desk, server: Server, answer: Answer, why: str
) -> None:
    server.answers["/a"] = answer
    received, _ = desk.fetch("http://127.0.0.1:9/", server.url + "/a")
    assert [source.url for source in desk.other.jobs[0].sources] == [server.url + "/a", "http://127.0.0.1:9/"]
    assert why in received.note


def test_secret_headers_never_reach_aria2(desk: Desk, server: Server) -> None:
    server.answers["/a"] = ranged(DATA)
    secret = Source(server.url + "/a", (("Authorization", "Bearer t"),), origin(server.url))
    desk.fetch(secret)
    assert desk.other.jobs[0].sources == (secret,)
    assert desk.backend.daemon.pid is None


def test_after_a_redirect_to_another_host_no_secret_is_left_and_aria2_takes_it(
    desk: Desk, server: Server
) -> None:
    server.answers["/store"] = ranged(DATA)
    server.answers["/a"] = status(302, Location=server.url.replace("127.0.0.1", "localhost") + "/store")
    secret = Source(server.url + "/a", (("Authorization", "Bearer t"),), origin(server.url))
    assert desk.fetch(secret)[1] == DATA
    told = [path for path, headers in server.seen if "authorization" in headers]
    assert set(told) == {"/a"}
    assert desk.other.jobs == []


def test_a_server_that_trickles_is_given_up(tmp_path: Path, server: Server) -> None:
    limits = Limits(
        tries=1, slow_rate=100_000, slow_seconds=0.5, silence_seconds=5, connections=1, flush_seconds=0.1
    )
    desk = Desk(tmp_path, limits)
    first = ranged(DATA)
    server.answers["/a"] = in_turn(first, ranged(DATA, rate=20_000))
    server.answers["/b"] = ranged(DATA)
    try:
        assert desk.fetch(server.url + "/a", server.url + "/b")[1] == DATA
    finally:
        desk.backend.close()
    assert re.search(r"sent only \d+ bytes|sends too slowly", desk.warnings()[0])


def test_aria2_that_is_killed_is_started_again(desk: Desk, server: Server) -> None:
    server.answers["/a"] = ranged(DATA, rate=2_000_000)
    killed: list[int] = []

    def kill(event: Event) -> None:
        pid = desk.backend.daemon.pid
        if isinstance(event, TransferAdvanced) and event.done > MIB and pid and not killed:
            killed.append(pid)
            os.kill(pid, signal.SIGKILL)

    desk.on_event = kill
    assert desk.fetch(server.url + "/a")[1] == DATA
    assert killed


def test_a_full_disk_is_an_error_of_the_disk(desk: Desk, server: Server) -> None:
    """Played by a limit on the size of files, which aria2 inherits."""
    server.answers["/a"] = ranged(DATA)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2 * MIB, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            desk.fetch(server.url + "/a")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    desk.backend.close()  # it has the limit still
    assert desk.fetch(server.url + "/a")[1] == DATA


def test_without_aria2_the_file_fails_with_a_hint(tmp_path: Path, server: Server) -> None:
    server.answers["/a"] = ranged(DATA)
    desk = Desk(tmp_path)
    desk.backend = Aria2Backend(desk.wire, LIMITS, desk.other, command="no-such-aria2")
    try:
        with pytest.raises(FetchError, match="not installed"):
            desk.fetch(server.url + "/a")
    finally:
        desk.backend.close()


def test_killed_with_its_run_nothing_more_is_written_and_the_next_run_goes_on(
    desk: Desk, server: Server
) -> None:
    server.answers["/a"] = ranged(DATA, rate=800_000)
    temporary = desk.folder / "tmp"  # the killed run leaves its folder for control files there
    temporary.mkdir()
    code = f"""
import sys, threading
from pathlib import Path
from comfykit.events import TransferAdvanced
from comfykit.fetch.aria2 import Aria2Backend
from comfykit.fetch.backend import Job
from comfykit.fetch.limits import Limits
from comfykit.fetch.partial import claim
from comfykit.fetch.source import Source
from comfykit.fetch.wire import SocketWire
limits = Limits(connections=4, flush_seconds=0.1)
backend = Aria2Backend(SocketWire(limits), limits, None)
def report(event):
    if isinstance(event, TransferAdvanced):
        print(event.done, flush=True)
with claim(Path(sys.argv[1]) / "x" / "a.dat", threading.Event(), lambda: None) as partial:
    backend.receive(Job({NAME!r}, (Source(sys.argv[2]),)), partial, threading.Event(), report)
"""
    url = server.url + "/a"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(desk.folder), url],
        stdout=subprocess.PIPE,
        env=environment(TMPDIR=str(temporary)),
    ) as run:
        assert run.stdout is not None
        for line in run.stdout:
            if int(line) > 4 * MIB:
                run.kill()
                break
    with desk.partial() as partial:
        # Not the blocks: a file system may give some back later, when it writes what it was told.
        before = partial.path.stat()
        time.sleep(0.3)
        after = partial.path.stat()
        assert (after.st_size, after.st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    server.answers["/a"] = ranged(DATA)
    received, data = desk.fetch(url)
    assert data == DATA
    assert received.fetched <= len(DATA) - MIB


def test_a_folder_that_a_killed_run_left_is_swept_away_one_in_use_is_not(tmp_path: Path) -> None:
    used, left, young = Folder(tmp_path), Folder(tmp_path), Folder(tmp_path)
    for folder in (left, young):
        os.close(folder._lock)  # as the end of a process does
    for folder in (used, left):
        (folder.path / "1.aria2").write_bytes(b"control")
        os.utime(folder.path, (0, 0))
    now = Folder(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted([used.path, young.path, now.path])
    used.remove()
    now.remove()
