from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from comfykit.doctor.sources import network
from comfykit.doctor.sources.network import endpoints, look, look_around, proxies


class Old(BaseHTTPRequestHandler):
    """Answers 404, with a date in the past."""

    def do_HEAD(self) -> None:
        self.send_response(404)
        self.end_headers()

    def date_time_string(self, timestamp: float | None = None) -> str:
        return "Sat, 01 Jan 2000 00:00:00 GMT"

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Old) as served:
        threading.Thread(target=served.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{served.server_port}/"
        served.shutdown()


@pytest.fixture(autouse=True)
def direct(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


def test_a_server_that_answers_and_its_clock(server: str) -> None:
    network = look({"hub": server}, 20)
    assert network.hosts == {"hub": None}
    assert network.clock is not None
    assert network.clock > 10 * 365 * 24 * 3600


def test_one_that_refuses_and_one_that_is_silent() -> None:
    with socket.socket() as silent, socket.socket() as closed:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        closed.bind(("127.0.0.1", 0))
        places = {
            "silent": f"http://127.0.0.1:{silent.getsockname()[1]}/",
            "closed": f"http://127.0.0.1:{closed.getsockname()[1]}/",
        }
        network = look(places, 1.0)
    assert network.hosts["closed"] == "Connection refused"
    assert network.hosts["silent"] is not None
    assert network.clock is None


def test_proxies_are_named_by_scheme_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://ann:secret@proxy:3128")
    assert proxies() == ("https",)


def test_a_mirror_is_asked_instead_of_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "https://mirror.example/hf")
    places = endpoints()
    assert places["mirror.example"] == "https://mirror.example/hf"
    assert "huggingface.co" not in places


def test_what_is_known_without_asking_anybody(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in network.MIRRORS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_ENDPOINT", "https://hf-mirror.com")
    monkeypatch.setenv("ALL_PROXY", "socks5://user:secret@127.0.0.1:1080")
    with socket.create_server(("127.0.0.1", 0)) as somebody:
        port = somebody.getsockname()[1]
        monkeypatch.setattr(network, "PORTS", (port,))
        found = look_around()
    assert found.mirrors == ("HF_ENDPOINT",)
    assert found.socks
    assert found.taken == (port,)
    assert found.clock is None
    assert found.hosts == {}
    assert "secret" not in repr(found)
    assert look_around().taken == ()


def test_a_clock_before_this_program_was_made_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network.time, "time", lambda: 1_000_000_000.0)
    found = look_around()
    assert found.clock is not None
    assert found.clock < -86_400
