"""The aria2c that a run starts for itself: who can talk to it, what it knows, when it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from comfykit.errors import FetchError
from comfykit.fetch.aria2_daemon import Daemon
from comfykit.fetch.aria2_rpc import RpcFailed
from comfykit.fetch.limits import Limits
from fetch_support import environment


@pytest.fixture
def daemon() -> Iterator[Daemon]:
    daemon = Daemon(Limits())
    yield daemon
    daemon.close()


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and nobody has waited for does not."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_it_starts_once_and_ends(daemon: Daemon) -> None:
    assert daemon.pid is None
    assert daemon.rpc() is daemon.rpc()
    pid = daemon.pid
    assert pid is not None
    assert alive(pid)
    daemon.close()
    assert daemon.pid is None
    assert not alive(pid)


def test_it_starts_again_when_somebody_ended_it(daemon: Daemon) -> None:
    daemon.rpc()
    first = daemon.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    while daemon.pid is not None:
        time.sleep(0.005)
    assert daemon.rpc().get_version()
    assert daemon.pid not in (None, first)


def test_the_secret_is_wanted_and_shown_nowhere(daemon: Daemon) -> None:
    rpc = daemon.rpc()
    with pytest.raises(RpcFailed, match="Unauthorized"):
        type(rpc)(rpc.port, "guess").get_version()
    arguments = Path(f"/proc/{daemon.pid}/cmdline").read_bytes()
    assert rpc.secret.encode() not in arguments
    assert rpc.secret not in repr(rpc)
    assert arguments.split(b"\0")[1].startswith(b"--conf-path=/dev/fd/")


def test_it_listens_to_this_machine_alone(daemon: Daemon) -> None:
    rpc = daemon.rpc()
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    listening = [row[1] for row in rows if row[3] == "0A" and row[1].endswith(f":{rpc.port:04X}")]
    assert listening == [f"0100007F:{rpc.port:04X}"]  # 127.0.0.1, bytes backwards


def test_it_gets_proxies_and_no_tokens(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_hidden")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9/")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9/")  # also: our calls do not go there
    daemon.rpc()
    seen = Path(f"/proc/{daemon.pid}/environ").read_bytes().split(b"\0")
    assert b"https_proxy=http://127.0.0.1:9/" in seen
    assert not any(b"hf_hidden" in line for line in seen)


def test_it_reads_no_settings_of_the_user(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    folder = tmp_path / ".config" / "aria2"
    folder.mkdir(parents=True)
    (folder / "aria2.conf").write_text("dir=/nowhere\nmax-tries=77\n")
    options = daemon.rpc().get_global_option()
    assert options["max-tries"] != "77"
    assert (options["no-netrc"], options["follow-metalink"]) == ("true", "false")


def test_limits_reach_it() -> None:
    daemon = Daemon(Limits(connections=40, max_rate=2_000_000, slow_rate=500, silence_seconds=7))
    try:
        options = daemon.rpc().get_global_option()
    finally:
        daemon.close()
    assert options["split"] == options["max-connection-per-server"] == "16"
    assert options["max-overall-download-limit"] == "2000000"
    assert (options["lowest-speed-limit"], options["timeout"]) == ("500", "7")


def test_without_aria2_it_says_what_to_do() -> None:
    with pytest.raises(FetchError, match="no-such-aria2 is not installed") as caught:
        Daemon(Limits(), command="no-such-aria2").rpc()
    assert "--backend httpx" in str(caught.value.hint)


def test_a_program_that_is_not_aria2_is_named_with_its_words(tmp_path: Path) -> None:
    fake = tmp_path / "aria2c"
    fake.write_text("#!/bin/sh\necho I am broken\nexit 3\n")
    fake.chmod(0o755)
    with pytest.raises(FetchError, match="aria2c cannot be used: I am broken"):
        Daemon(Limits(), command=str(fake)).rpc()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_it_ends_with_the_process_that_started_it(number: signal.Signals) -> None:
    code = (
        "import time\n"
        "from comfykit.fetch.aria2_daemon import Daemon\n"
        "from comfykit.fetch.limits import Limits\n"
        "daemon = Daemon(Limits())\n"
        "daemon.rpc()\n"
        "print(daemon.pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, env=environment()) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert alive(pid)
        parent.send_signal(number)
        parent.wait(10)
    deadline = time.monotonic() + 10
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not alive(pid)
