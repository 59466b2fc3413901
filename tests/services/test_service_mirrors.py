"""Measuring mirrors, over real connections to this machine."""

from __future__ import annotations

import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from comfykit.errors import UsageError
from comfykit.fetch.guide import Guide
from comfykit.fetch.history import History
from comfykit.fetch.mirror_rules import Mirror
from comfykit.fetch.tokens import read_tokens
from comfykit.services.mirrors import SAMPLE_BYTES, measure_mirrors, usual_probes
from fetch_support import serving, status

BODY = bytes(2 * SAMPLE_BYTES)


def ranged(handler: BaseHTTPRequestHandler) -> None:
    """The start of the file, as a server does that knows ranges."""
    handler.send_response(206)
    handler.send_header("Content-Range", f"bytes 0-{SAMPLE_BYTES - 1}/{len(BODY)}")
    handler.send_header("Content-Length", str(SAMPLE_BYTES))
    handler.end_headers()
    handler.wfile.write(BODY[:SAMPLE_BYTES])


def silent(handler: BaseHTTPRequestHandler) -> None:
    time.sleep(3)


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "*")


def test_every_source_of_an_address_is_measured_and_remembered(tmp_path: Path) -> None:
    with serving({"/a.pt?x=hush": ranged}) as first, serving({"/m/a.pt?x=hush": BODY}) as second:
        rules = (
            Mirror(f"{first.url}/", f"{second.url}/m/", instead=False, needs_checksum=True),
            Mirror(f"{first.url}/", f"{second.url}/gone/", instead=False),
        )
        history = History(tmp_path / "hosts.json")
        own, mirror, gone = measure_mirrors(Guide(rules, history=history), [f"{first.url}/a.pt?x=hush"])
    assert [found.works for found in (own, mirror, gone)] == [True, True, False]
    assert own.url == f"{first.url}/a.pt?x=***"
    assert {found.of for found in (own, mirror, gone)} == {own.url}
    for found in (own, mirror):
        assert found.latency is not None
        assert found.speed is not None
        assert 0 < found.latency < 10
        assert found.speed > 0
    assert "answered 404" in gone.message
    seen = History(tmp_path / "hosts.json").seen(first.url.removeprefix("http://"))
    assert seen is not None
    assert seen.failures == 0


def test_a_small_answer_says_nothing_about_speed() -> None:
    with serving({"/a": b"[]"}) as server:
        (found,) = measure_mirrors(Guide(), [f"{server.url}/a"])
    assert found.works
    assert found.speed is None


def test_a_host_that_does_not_answer_does_not_hold_up_the_others() -> None:
    with serving({"/a": silent, "/b": b"[]"}) as server:
        first, second = measure_mirrors(Guide(), [f"{server.url}/a", f"{server.url}/b"], seconds=0.3)
    assert not first.works
    assert "within 0.3 s" in first.message
    assert second.works


def test_a_refusal_has_its_hint_and_the_token_goes_to_its_host_alone() -> None:
    with serving({"/a": status(401)}) as first, serving({"/a": status(403)}) as second:
        tokens = read_tokens({"HOME": "/nowhere"}, {first.url: "hush"})
        rules = (Mirror(f"{first.url}/", f"{second.url}/", instead=False),)
        own, mirror = measure_mirrors(Guide(rules, tokens), [f"{first.url}/a"])
        assert first.seen[0][1]["authorization"] == "Bearer hush"
        assert "authorization" not in second.seen[0][1]
    assert "answered 401" in own.message
    assert "answered 403" in mirror.message
    assert own.hint
    assert "hush" not in repr((own, mirror))


def test_an_address_that_is_none_is_said_before_anything_is_asked() -> None:
    with pytest.raises(UsageError, match="names no file"):
        list(measure_mirrors(Guide(), ["hf://o/r"]))


def test_the_usual_probes_are_addresses() -> None:
    assert len(usual_probes()) >= 3
    assert all(probe.startswith("https://") for probe in usual_probes())
