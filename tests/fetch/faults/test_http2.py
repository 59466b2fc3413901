"""Questions to hubs go over HTTP/2 where a server speaks it, and trust what the system trusts."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from fault_certificates import make_certificates

from comfykit.fetch.hubs.asking import asking
from comfykit.fetch.tokens import Tokens
from fetch_support import free_port

CONFIG = """
daemon off;
master_process off;
pid {root}/nginx.pid;
error_log {root}/error.log;
events {{ worker_connections 16; }}
http {{
    log_format protocol "$server_protocol $uri";
    access_log {root}/access.log protocol;
    client_body_temp_path {root}/t1; proxy_temp_path {root}/t2; fastcgi_temp_path {root}/t3;
    uwsgi_temp_path {root}/t4; scgi_temp_path {root}/t5;
    server {{
        listen unix:{root}/unused.sock;
        listen 127.0.0.1:{port} ssl http2;
        ssl_certificate {root}/right.pem;
        ssl_certificate_key {root}/right.key;
        root {root}/www;
    }}
}}
"""


def test_a_hub_is_asked_over_http2(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    binary = shutil.which("nginx", path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin"]))
    if binary is None:
        pytest.skip("nginx is not installed")
    port = free_port()
    authority = make_certificates(tmp_path).authority
    (tmp_path / "www").mkdir()
    (tmp_path / "www" / "a.json").write_text("[1]")
    (tmp_path / "nginx.conf").write_text(CONFIG.format(root=tmp_path, port=port))
    paths = ["-p", tmp_path, "-c", tmp_path / "nginx.conf", "-e", tmp_path / "error.log"]
    monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    server = subprocess.Popen([binary, *paths])
    try:
        log = tmp_path / "error.log"
        while not (tmp_path / "nginx.pid").exists():
            assert server.poll() is None, log.read_text()
            time.sleep(0.02)
        with asking(Tokens()) as ask:
            assert ask(f"https://127.0.0.1:{port}/a.json") == [1]
    finally:
        server.terminate()
        server.wait(10)
    assert (tmp_path / "access.log").read_text() == "HTTP/2.0 /a.json\n"
