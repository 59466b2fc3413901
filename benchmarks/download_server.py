"""What `download.py` fetches from: nginx on this machine, as it is, limited, and far away.

    python benchmarks/download_server.py LISTEN TARGET MILLISECONDS

is the relay that makes it far away: what a client says arrives so much later, and the first words on
each connection twice as late (one way for the handshake, one for the request). What the server says is
passed on as it comes, within the kernel, so that the relay costs little. A round trip takes as much longer as
on a long line; the slow start of TCP on such a line is not played.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

BLOCK = 1024 * 1024
CONFIG = """
daemon off;
worker_processes 2;
{user}
pid {root}/nginx.pid;
error_log {root}/error.log;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    sendfile on;
    tcp_nopush on;
    keepalive_requests 100000;
    client_body_temp_path {root}/t1; proxy_temp_path {root}/t2; fastcgi_temp_path {root}/t3;
    uwsgi_temp_path {root}/t4; scgi_temp_path {root}/t5;
    default_type application/octet-stream;
    server {{ listen 127.0.0.1:{plain} backlog=1024; root {root}/www; }}
    server {{ listen 127.0.0.1:{limited} backlog=1024; root {root}/www; limit_rate {rate}; }}
}}
"""


@dataclass(frozen=True)
class File:
    """A file that is served: its name in the web, its size in bytes and its SHA-256."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Servers:
    """Addresses of the same files."""

    www: Path
    plain: str
    limited: str
    far: str


def make_file(www: Path, name: str, size: int) -> File:
    """A safetensors file of one tensor of random bytes."""
    header = {"a": {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}}
    start = json.dumps(header).encode()
    start = len(start).to_bytes(8, "little") + start
    digest = hashlib.sha256(start)
    with (www / name).open("wb") as file:
        file.write(start)
        left = size
        while left:
            block = os.urandom(min(BLOCK, left))
            digest.update(block)
            file.write(block)
            left -= len(block)
    return File(name, len(start) + size, digest.hexdigest())


@contextlib.contextmanager
def serving(root: Path, rate: int, latency: float) -> Iterator[Servers]:
    """nginx with files in `root/www`, limited to `rate` bytes a second, and `latency` seconds away."""
    nginx = find_nginx()
    www = root / "www"
    www.mkdir()
    plain, limited, far = free_ports(3)
    user = "user root;" if os.getuid() == 0 else ""
    config = root / "nginx.conf"
    config.write_text(CONFIG.format(root=root, plain=plain, limited=limited, rate=rate, user=user))
    relay = [sys.executable, __file__, str(far), str(plain), str(latency * 1000)]
    with (
        running([nginx, "-p", str(root), "-c", str(config), "-e", str(root / "error.log")], limited),
        running(relay, far),
    ):
        yield Servers(www, *(f"http://127.0.0.1:{port}" for port in (plain, limited, far)))


def find_nginx() -> str:
    """nginx's path; it is installed where it is missing."""
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
    if shutil.which("nginx", path=path) is None or shutil.which("aria2c") is None:
        subprocess.run([Path(__file__).parents[1] / "tools" / "install-test-needs"], check=True)
    found = shutil.which("nginx", path=path)
    if found is None:
        raise SystemExit("nginx is not installed")
    return found


def free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]


@contextlib.contextmanager
def running(command: list[str], port: int) -> Iterator[None]:
    """A process that listens at a port, until the block ends."""
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 10
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"{command[0]} does not start")
            time.sleep(0.02)
        yield
    finally:
        process.terminate()
        process.wait()


def relay(listen: int, target: int, seconds: float) -> None:
    """Pass connections on for ever; see the top of this file."""
    with socket.create_server(("127.0.0.1", listen), backlog=1024) as server:
        while True:
            client, _ = server.accept()
            threading.Thread(target=_connect, args=(client, target, seconds), daemon=True).start()


def _connect(client: socket.socket, target: int, seconds: float) -> None:
    server = socket.create_connection(("127.0.0.1", target))
    for side in (client, server):
        side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    threading.Thread(target=_back, args=(server, client), daemon=True).start()
    delay = 2 * seconds
    with contextlib.suppress(OSError):
        while data := client.recv(64 * 1024):
            time.sleep(delay)
            server.sendall(data)
            delay = seconds
    with contextlib.suppress(OSError):
        server.shutdown(socket.SHUT_RDWR)


def _back(server: socket.socket, client: socket.socket) -> None:
    read, write = os.pipe()
    with contextlib.suppress(OSError):
        while count := os.splice(server.fileno(), write, BLOCK):
            while count:
                count -= os.splice(read, client.fileno(), count)
    with contextlib.suppress(OSError):
        client.shutdown(socket.SHUT_RDWR)
    for descriptor in (read, write):
        os.close(descriptor)
    server.close()
    client.close()


if __name__ == "__main__":
    relay(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]) / 1000)
