"""download.txt against a real web server: all of it, and after being killed halfway."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from comfykit.fetch.catalog import shipped
from comfykit.fetch.entry import ManifestEntry
from comfykit.fetch.parse import parse
from fetch_support import COMMAND, environment, files_below, free_port, install_models, safetensors, weights

CONFIG = """
daemon off;
master_process off;
pid {root}/nginx.pid;
error_log {root}/error.log;
events {{ worker_connections 128; }}
http {{
    access_log {root}/access.log;
    client_body_temp_path {root}/t1; proxy_temp_path {root}/t2; fastcgi_temp_path {root}/t3;
    uwsgi_temp_path {root}/t4; scgi_temp_path {root}/t5;
    types {{ text/html html; }}
    default_type application/octet-stream;
    server {{ listen 127.0.0.1:{fast}; root {root}/www; }}
    server {{ listen 127.0.0.1:{slow}; root {root}/www; limit_rate 256k; }}
}}
"""
HOSTS = ("huggingface.co", "hf-mirror.com", "github.com")


@dataclass(frozen=True)
class Nginx:
    www: Path
    fast: int
    slow: int

    def rules(self, port: int) -> str:
        return " ".join(f"https://{host}/=http://127.0.0.1:{port}/{host}/" for host in HOSTS)

    def publish(self, entry: ManifestEntry, data: bytes) -> None:
        path = self.www / entry.urls[0].removeprefix("https://")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


@pytest.fixture
def nginx(tmp_path: Path) -> Iterator[Nginx]:
    binary = shutil.which(
        "nginx", path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
    )
    if binary is None:
        pytest.skip("nginx is not installed")
    root = tmp_path / "nginx"
    (root / "www").mkdir(parents=True)
    server = Nginx(root / "www", free_port(), free_port())
    (root / "nginx.conf").write_text(CONFIG.format(root=root, fast=server.fast, slow=server.slow))
    process = subprocess.Popen(
        [binary, "-p", str(root), "-c", str(root / "nginx.conf"), "-e", str(root / "error.log")],
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for_port(server.slow, process)
        yield server
    finally:
        process.terminate()
        process.wait(10)


def wait_for_port(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    pytest.fail("nginx did not start")


def wanted() -> list[ManifestEntry]:
    return parse(shipped()["download.txt"].read_bytes(), "download.txt").entries


def test_every_active_entry_of_download_txt_arrives(nginx: Nginx, tmp_path: Path) -> None:
    for entry in wanted():
        nginx.publish(entry, weights(entry.path))
    manifest, home, rules = shipped()["download.txt"], tmp_path / "home", nginx.rules(nginx.fast)
    done = install_models(manifest, "--home", home, cwd=tmp_path, COMFYKIT_MIRRORS=rules)
    assert done.returncode == 0, done.stderr
    assert models_below(home) == {entry.path: weights(entry.path) for entry in wanted()}
    again = install_models(manifest, "--home", home, cwd=tmp_path, COMFYKIT_MIRRORS=rules)
    assert again.returncode == 0
    assert f"0 fetched, {len(wanted())} there, 0 failed" in again.stderr


def models_below(home: Path) -> dict[str, bytes]:
    """What lies in the home's models/, by path; beside it are notes on hashes and origins."""
    return {name: data for name, data in files_below(home).items() if name.startswith("models/")}


def large(entry: ManifestEntry) -> bytes:
    """Large enough to be on its way for a while at the slow port."""
    data = weights(entry.path)
    if entry.name.endswith(".safetensors"):
        return safetensors(600_000, sum(entry.path.encode()))
    return data + bytes(600_000)


def test_killed_halfway_and_run_again_ends_with_the_right_files(nginx: Nginx, tmp_path: Path) -> None:
    right = {entry.path: large(entry) for entry in wanted()}
    for entry in wanted():
        nginx.publish(entry, right[entry.path])
    manifest, home = shipped()["download.txt"], tmp_path / "home"
    process = subprocess.Popen(
        [*COMMAND, str(manifest), "--home", str(home)],
        cwd=tmp_path,
        env=environment(COMFYKIT_MIRRORS=nginx.rules(nginx.slow)),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and not halfway(home):
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait(10)
    left = models_below(home)
    partial = [name for name in left if name.endswith((".part", ".part.json", ".part.json.new"))]
    assert partial
    assert all(right[name] == data for name, data in left.items() if name not in partial)
    assert len(left) < len(right)
    done = install_models(manifest, "--home", home, cwd=tmp_path, COMFYKIT_MIRRORS=nginx.rules(nginx.fast))
    assert done.returncode == 0, done.stderr
    assert models_below(home) == right


def halfway(home: Path) -> bool:
    """Whether a file is in place and another one partly there."""
    files = [path for path in home.rglob("*") if path.is_file()]
    partial = [path for path in files if path.name.endswith(".part") and path.stat().st_size > 10_000]
    return len(partial) > 0 and len(files) > 4


def test_a_missing_file_and_a_page_leave_nothing(nginx: Nginx, tmp_path: Path) -> None:
    missing, page, *rest = wanted()
    for entry in rest:
        nginx.publish(entry, weights(entry.path))
    nginx.publish(page, b"<!doctype html><title>Sign in</title>")
    home = tmp_path / "home"
    done = install_models(
        shipped()["download.txt"], "--home", home, cwd=tmp_path, COMFYKIT_MIRRORS=nginx.rules(nginx.fast)
    )
    assert done.returncode == 3
    assert models_below(home) == {entry.path: weights(entry.path) for entry in rest}
    rows = {line.split()[1]: line for line in done.stdout.splitlines()}
    assert "404" in rows[missing.path]
    assert "HTML page titled 'Sign in'" in rows[page.path]
