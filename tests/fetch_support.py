"""What tests of fetching share: files of every kind, a server that misbehaves on demand, the command."""

from __future__ import annotations

import hashlib
import io
import json
import os
import socket
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path, PurePath

SOURCE = Path(__file__).parents[1] / "src"
PAGE = b"<!DOCTYPE html><html><head><title>Please log in</title></head><body>Log in</body></html>"


def safetensors(count: int = 16, seed: int = 0) -> bytes:
    """A file with one tensor of `count` bytes."""
    header = json.dumps({"a": {"dtype": "U8", "shape": [count], "data_offsets": [0, count]}}).encode()
    return len(header).to_bytes(8, "little") + header + bytes((seed + i) % 251 for i in range(count))


def archive(seed: int = 0) -> bytes:
    """A zip archive, as torch.save writes one."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("archive/data.pkl", f"weights {seed}" * 20)
    return buffer.getvalue()


def weights(path: str) -> bytes:
    """Bytes that a file of this path may hold; each path has its own."""
    seed = sum(path.encode())
    if PurePath(path).suffix in (".safetensors", ".sft"):
        return safetensors(64 + seed % 100, seed)
    return b"\x80\x02" + hashlib.sha256(path.encode()).digest()


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


Answer = Callable[[BaseHTTPRequestHandler], None]


class Server:
    """Answers paths from a table; `seen` has every request's path and headers."""

    def __init__(self, answers: Mapping[str, Answer | bytes]) -> None:
        self.answers = dict(answers)
        self.seen: list[tuple[str, dict[str, str]]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                outer.seen.append((self.path, {k.lower(): v for k, v in self.headers.items()}))
                answer = outer.answers.get(self.path)
                if answer is None:
                    answer = status(404)
                if isinstance(answer, bytes):
                    answer = whole(answer)
                answer(self)

            def log_message(self, *args: object) -> None:
                pass

        self.httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.httpd.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.httpd.server_address[1]}"


def whole(data: bytes, content_type: str = "application/octet-stream", **headers: str) -> Answer:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", content_type)
        handler.send_header("Content-Length", str(len(data)))
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(data)

    return answer


def short(data: bytes, announced: int) -> Answer:
    """Fewer bytes than announced, then the end of the connection."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(announced))
        handler.end_headers()
        handler.wfile.write(data)
        handler.close_connection = True

    return answer


def status(code: int, **headers: str) -> Answer:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(code)
        handler.send_header("Content-Length", "0")
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()

    return answer


@contextmanager
def serving(answers: Mapping[str, Answer | bytes]) -> Iterator[Server]:
    server = Server(answers)
    thread = threading.Thread(target=server.httpd.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.httpd.shutdown()
        server.httpd.server_close()


def environment(**more: str) -> dict[str, str]:
    """An environment in which the command finds this checkout and no proxy."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.lower().endswith("_proxy") and not name.startswith("COMFYKIT_")
    }
    path = os.pathsep.join(filter(None, [str(SOURCE), kept.get("PYTHONPATH")]))
    return {**kept, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1", **more}


COMMAND = [sys.executable, "-c", "from comfykit.cli.app import main; main()", "install-models"]


def install_models(
    *arguments: str | Path, cwd: Path, stdin: bytes = b"", **env: str
) -> subprocess.CompletedProcess[str]:
    """Run `comfykit install-models` as a process of its own."""
    done = subprocess.run(
        [*COMMAND, *map(str, arguments)],
        cwd=cwd,
        env=environment(**env),
        input=stdin,
        capture_output=True,
        timeout=120,
        check=False,
    )
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


def files_below(folder: Path) -> dict[str, bytes]:
    """Every file below a folder by its relative path, hidden ones too."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def free_port() -> int:
    """A port that nothing listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
