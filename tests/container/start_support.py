"""What tests of `comfykit start` share: the command in a process of its own, and a server that is slow."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import psutil

from fetch_support import environment

PATIENCE = 120.0
START = [sys.executable, "-P", "-m", "comfykit", "start", "--no-checks", "--watch", "0.05"]


def started(home: Path, *words: str, **more: str) -> subprocess.Popen[str]:
    """A start that runs, with pipes to all three streams."""
    places = {"COMFYKIT_HOME": str(home), "TMPDIR": str(home.parent), "XDG_CACHE_HOME": str(home.parent)}
    return subprocess.Popen(
        [*START, *words],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1,
        env=environment(**{"COMFYKIT_SECRETS": str(home), **places, **more}),
    )  # fmt: skip


def run(home: Path, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    """A start from its beginning to its end."""
    process = started(home, *words, **more)
    out, err = process.communicate(timeout=PATIENCE)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


@contextmanager
def running(home: Path, *words: str, **more: str) -> Iterator[subprocess.Popen[str]]:
    """A start that is killed at the end of the block, if it still runs."""
    process = started(home, *words, **more)
    try:
        yield process
    finally:
        kill(process)


def kill(process: subprocess.Popen[str]) -> None:
    """End a start and all below it at once, as a container ends."""
    try:
        below = psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        below = []
    for one in (process, *below):
        with suppress(psutil.NoSuchProcess):
            one.kill()
    process.wait(timeout=PATIENCE)
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            with suppress(BrokenPipeError):
                stream.close()
    psutil.wait_procs(below, timeout=PATIENCE)


def until(holds: Callable[[], bool]) -> None:
    """Wait until something holds."""
    end = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.01)


def send(process: subprocess.Popen[str], number: signal.Signals) -> None:
    os.kill(process.pid, number)


class Dripping:
    """Serves a file in parts, slowly; `sent` counts the bytes of its body that went out."""

    def __init__(self, data: bytes, *, pause: float = 0.01, piece: int = 16 * 1024) -> None:
        self.data, self.pause, self.piece = data, pause, piece
        self.sent = 0
        self.lock = threading.Lock()

    def __call__(self, handler: BaseHTTPRequestHandler) -> None:
        begin, end = 0, len(self.data)
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", handler.headers.get("Range", ""))
        if asked:
            begin, end = int(asked[1]), min(int(asked[2]) + 1 if asked[2] else end, end)
            handler.send_response(206)
            handler.send_header("Content-Range", f"bytes {begin}-{end - 1}/{len(self.data)}")
        else:
            handler.send_response(200)
        handler.send_header("Accept-Ranges", "bytes")
        handler.send_header("ETag", '"one"')
        handler.send_header("Content-Length", str(end - begin))
        handler.end_headers()
        for at in range(begin, end, self.piece):
            part = self.data[at : min(at + self.piece, end)]
            try:
                handler.wfile.write(part)
            except OSError:
                handler.close_connection = True
                return
            with self.lock:
                self.sent += len(part)
            time.sleep(self.pause)


def large(count: int, seed: int = 0) -> bytes:
    """A file of weights with one tensor of `count` bytes, made at once."""
    head = json.dumps({"a": {"dtype": "U8", "shape": [count], "data_offsets": [0, count]}}).encode()
    body = random.Random(seed).randbytes(count)
    return len(head).to_bytes(8, "little") + head + body


def entry(url: str, name: str, *options: str) -> str:
    lines = ["dir=models/vae", f"out={name}", *options]
    return "".join([f"{url}\n", *(f"  {line}\n" for line in lines)])
