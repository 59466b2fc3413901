from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from comfykit.doctor.sources.network import endpoints, look, proxies


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
