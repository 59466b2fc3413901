"""One server with one fault: the file ends right or is not there, and the cause is said."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from fault_answers import (
    PAGE,
    POINTER,
    announced,
    at_first,
    chunked,
    continues,
    cut,
    endless_head,
    further,
    gzipped,
    huge_head,
    later,
    many_headers,
    never_satisfied,
    no_http,
    page,
    ranged,
    said,
    stalling_at,
    talkative,
    to,
    trickling,
    until_close,
)
from fault_server import Exchange, Handler
from fault_stage import NAME, Stage, check_home, check_secrets, entry, with_both_backends
from stored_file import Stored, model

DATA = model()
OTHER = model(seed=1)  # as long as DATA, and other bytes
LONGER = model(400_000)
NAMED = [("Content-Disposition", 'attachment; filename="../../x"')]
PLACE = "Content-Range|was asked for the bytes"  # what is said of an answer to another Range


def several_parts(stored: Stored) -> Handler:
    return ranged(stored, None, kind="multipart/byteranges; boundary=x")


def replaced_later(stored: Stored) -> Handler:
    return later(1, ranged(stored, "bytes {start}-{last}/{other}"), stored)


@dataclass(frozen=True)
class Case:
    """A fault by its row in the list of faults. `words`: a pattern that the cause must have when the file
    is not there; None means that it ends right. `checked`: the manifest has a checksum. `avoidable`: who asks
    once for everything never meets it, so it may also end right."""

    row: int
    name: str
    make: Callable[[Stored], Handler]
    words: str | None = None
    checked: bool = True
    avoidable: bool = False

    def __str__(self) -> str:
        return f"{self.row}-{self.name.replace(' ', '-')}"


def busy(status: int, *fields: tuple[str, str]) -> Callable[[Stored], Handler]:
    """Once busy, then not."""
    return lambda stored: at_first(1, said(status, b"busy", *fields), stored)


CASES = [
    Case(17, "reset once", lambda s: at_first(1, cut(s, Exchange.reset), s)),
    Case(17, "reset three times", lambda s: at_first(3, cut(s, Exchange.reset), s)),
    Case(17, "reset before the answer", lambda s: at_first(1, Exchange.reset, s)),
    Case(17, "reset always", lambda s: at_first(10**6, Exchange.reset, s), "connection|broke|ended early"),
    Case(18, "short once", lambda s: at_first(1, cut(s, Exchange.hang_up), s)),
    Case(19, "more than announced", talkative),
    Case(19, "more than announced without ranges", lambda s: talkative(s.but(ranges=False))),
    Case(20, "ranges ignored", lambda s: s.but(ranges=False)),
    Case(20, "ranges ignored later", lambda s: later(1, s.but(ranges=False), s)),
    Case(20, "ranges ignored and unchecked", lambda s: s.but(ranges=False, etag=None), checked=False),
    Case(22, "wrong start", lambda s: ranged(s, "bytes {next}-{last}/{total}"), PLACE),
    Case(22, "shifted", lambda s: ranged(s, "bytes {next}-{last}/{total}", shift=1), PLACE),
    Case(22, "wrong end", lambda s: ranged(s, "bytes {start}-{less}/{total}"), PLACE),
    Case(22, "no place", lambda s: ranged(s, None), PLACE),
    Case(22, "nonsense", lambda s: ranged(s, "bytes all/all"), PLACE),
    Case(22, "other total later", replaced_later, "changed", avoidable=True),
    Case(23, "multipart", several_parts, "several parts|Content-Range"),
    Case(25, "416 always", never_satisfied, "416|has no bytes"),
    Case(26, "gzip", gzipped, "gzip"),
    Case(26, "gzip unchecked", gzipped, "gzip", checked=False),
    Case(27, "HTML page", lambda s: page(), "HTML page titled 'Please log in'"),
    Case(27, "HTML page unchecked", lambda s: page(), "HTML page titled 'Please log in'", checked=False),
    Case(27, "HTML page as bytes", lambda s: s.but(data=PAGE), "HTML page titled 'Please log in'"),
    Case(27, "JSON", lambda s: page(b'{"error": "gated"}', "application/json"), "gated", checked=False),
    Case(27, "LFS pointer", lambda s: s.but(data=POINTER), "LFS|git-lfs|pointer", checked=False),
    Case(27, "page later", lambda s: later(1, page(), s), "HTML page|changed", avoidable=True),
    Case(28, "401", lambda s: said(401), "401"),
    Case(28, "403", lambda s: said(403), "403"),
    Case(28, "403 later", lambda s: later(1, said(403), s), "403", avoidable=True),
    Case(29, "404", lambda s: said(404), "404"),
    Case(29, "410", lambda s: said(410), "410"),
    Case(29, "451", lambda s: said(451), "451"),
    Case(30, "429 with seconds", busy(429, ("Retry-After", "1"))),
    Case(30, "429 with a date that is past", busy(429, ("Retry-After", "Wed, 21 Oct 2015 07:28:00 GMT"))),
    Case(30, "429 without", busy(429)),
    Case(30, "429 negative", busy(429, ("Retry-After", "-5"))),
    Case(30, "429 nonsense", busy(429, ("Retry-After", "soon"))),
    Case(30, "429 as the hub says it", busy(429, ("RateLimit", '"resolvers";r=0;t=1'))),
    Case(30, "429 always", lambda s: said(429), "429"),
    *(Case(31, f"{code} once", busy(code)) for code in (408, 500, 502, 503, 504)),
    Case(31, "503 always", lambda s: said(503), "503"),
    Case(32, "redirect to itself", lambda s: to("/m"), "redirect"),
    Case(32, "redirects without end", lambda s: further(), "redirect"),
    Case(32, "redirect to a file", lambda s: to("file:///etc/passwd"), "redirect"),
    Case(32, "redirect to ftp", lambda s: to("ftp://127.0.0.1/m"), "redirect"),
    Case(32, "redirect to nowhere", lambda s: to(None), "redirect"),
    Case(32, "redirect to nothing", lambda s: to(""), "redirect"),
    Case(32, "redirect to userinfo", lambda s: to("http://a:b@127.0.0.1/m"), "redirect"),
    Case(32, "redirect to brackets", lambda s: to("http://[::1/m"), "redirect"),
    Case(37, "trickle", lambda s: trickling(s, 50_000), "sent only|did not answer|slow"),
    Case(37, "silence", lambda s: stalling_at(s, 50_000), "nothing arrived|sent only|did not answer|slow"),
    Case(37, "headers without end", lambda s: endless_head, "answer"),
    Case(38, "huge header", lambda s: huge_head, "header|HTTP|answer|connection"),
    Case(38, "many headers", lambda s: many_headers, "header|HTTP|answer|connection"),
    Case(38, "interim answers for ever", lambda s: continues, "answer"),
    Case(38, "no HTTP", lambda s: no_http, "HTTP|protocol|connection"),
    Case(42, "other bytes", lambda s: s.but(data=OTHER), "sha-256"),
    Case(44, "chunked", chunked),
    Case(44, "chunked unchecked", chunked, checked=False),
    Case(44, "chunked and cut off", lambda s: chunked(s, whole=False), "broke|cut off|ended"),
    Case(44, "until the end", until_close),
    Case(44, "until the end unchecked", until_close, checked=False),
    Case(44, "until the end and cut off", lambda s: until_close(s, lacking=9), "sha-256|cut off"),
    Case(44, "cut off unchecked", lambda s: until_close(s, lacking=9), "cut off", checked=False),
    Case(45, "empty", lambda s: said(200), "empty"),
    Case(45, "empty unchecked", lambda s: said(200), "empty", checked=False),
    Case(46, "too large for the disk", lambda s: announced(10**15, s), "free"),
    Case(46, "negative size", lambda s: said(200, b"", ("Content-Length", "-1")), "empty|Content-Length"),
    Case(55, "a name of its own", lambda s: s.but(headers=NAMED)),
]


@with_both_backends
@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_file_ends_right_or_is_not_there(case: Case, stage: Stage) -> None:
    site = stage.site()
    site.routes["/m"] = case.make(Stored(DATA))
    finished = stage.run(stage.write(entry(f"{site.url}/m", data=DATA if case.checked else None)))
    check_home(stage, {NAME: DATA})
    check_secrets(stage, finished)
    record = finished.file()
    if case.words is None or (case.avoidable and finished.code == 0):
        assert (finished.code, record["status"]) == (0, "fetched"), finished.told()
        assert stage.path().read_bytes() == DATA
    else:
        assert (finished.code, record["status"]) == (1, "failed")
        assert re.search(case.words, finished.told())
        assert not stage.path().exists()
    assert finished.records[-1]["event"] == "done"


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_next_mirror_takes_over(case: Case, stage: Stage) -> None:
    """Whatever the first one does, the file ends right from the second."""
    liar, good = stage.site(), stage.site()
    liar.routes["/m"] = case.make(Stored(DATA))
    good.routes["/m"] = Stored(DATA)
    finished = stage.run(stage.write(entry(f"{liar.url}/m", f"{good.url}/m", data=DATA)))
    assert finished.code == 0, finished.told()
    assert stage.path().read_bytes() == DATA
    check_home(stage, {NAME: DATA})
