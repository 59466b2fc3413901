"""The command as a person or a script meets it, in a process of its own."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from fetch_support import (
    COMMAND,
    PAGE,
    Server,
    environment,
    files_below,
    install_models,
    safetensors,
    serving,
    sha256,
    short,
    status,
    whole,
)
from pseudo_terminal import run_in_terminal

DATA = safetensors(3000)
HUB = "https://hub.example/"


@pytest.fixture
def server() -> Iterator[Server]:
    with serving({}) as running:
        yield running


@pytest.fixture
def run(tmp_path: Path, server: Server) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs the command on a home below `tmp_path`, with the hub rewritten to the server."""

    def run(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        home = ["--home", str(tmp_path / "home")]
        rules = f"{HUB}={server.url}/"
        return install_models(*arguments, *home, cwd=tmp_path, stdin=stdin.encode(), COMFYKIT_MIRRORS=rules)

    return run


def entry(name: str, *options: str) -> str:
    return "".join([f"{HUB}{name}\n  dir=models/vae\n", *(f"  {option}\n" for option in options)])


def records(done: subprocess.CompletedProcess[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in done.stdout.splitlines()]


Run = Callable[..., subprocess.CompletedProcess[str]]


def test_files_are_fetched_and_tabled(run: Run, server: Server, tmp_path: Path) -> None:
    server.answers["/a.safetensors"] = DATA
    done = run("-", stdin=entry("a.safetensors"))
    assert done.returncode == 0
    assert files_below(tmp_path / "home" / "models") == {"vae/a.safetensors": DATA}
    assert done.stdout.split()[:2] == ["fetched", "models/vae/a.safetensors"]
    assert "1 fetched, 0 there, 0 failed" in done.stderr
    again = run("-", stdin=entry("a.safetensors"))
    assert again.returncode == 0
    assert again.stdout.split()[:2] == ["there", "models/vae/a.safetensors"]
    assert len(server.seen) == 1


def test_every_failure_has_its_sentence_and_the_exit_code_says_that_one_is_in_place(
    run: Run, server: Server, tmp_path: Path
) -> None:
    server.answers.update(
        {
            "/page.safetensors": whole(PAGE, "text/html"),
            "/short.safetensors": short(DATA[:-100], len(DATA)),
            "/good.safetensors": DATA,
            "/other.safetensors": DATA,
            "/gated.safetensors": status(401),
        }
    )
    done = run(
        "-",
        stdin=entry("none.safetensors")
        + entry("page.safetensors")
        + entry("short.safetensors")
        + entry("good.safetensors")
        + entry("gated.safetensors")
        + entry("other.safetensors", "checksum=sha-256=" + "a" * 64),
    )
    assert done.returncode == 3
    assert {name for name in files_below(tmp_path / "home" / "models") if "/." not in name} == {
        "vae/good.safetensors"
    }
    rows = {line.split()[1]: line for line in done.stdout.splitlines()}
    assert "answered 404: there is no such file" in rows["models/vae/none.safetensors"]
    assert "an HTML page titled 'Please log in'" in rows["models/vae/page.safetensors"]
    assert "the connection broke" in rows["models/vae/short.safetensors"]
    assert sha256(DATA) in rows["models/vae/other.safetensors"]
    assert "header=Authorization: Bearer TOKEN" in done.stderr
    assert "1 fetched, 0 there, 5 failed" in done.stderr


def test_a_manifest_with_problems_fetches_nothing(run: Run, server: Server, tmp_path: Path) -> None:
    server.answers["/a.safetensors"] = DATA
    (tmp_path / "one.txt").write_text(entry("a.safetensors") + "#" + entry("b.safetensors"))
    (tmp_path / "two.txt").write_text(entry("c.safetensors", "out=../../c"))
    done = run("one.txt", "two.txt")
    assert done.returncode == 2
    assert "one.txt:4: " in done.stderr
    assert "two.txt:3: " in done.stderr
    assert server.seen == []
    assert not (tmp_path / "home").exists()


def test_a_dry_run_says_what_it_would_do(run: Run, server: Server, tmp_path: Path) -> None:
    text = entry("a.safetensors?token=secret", "out=a.safetensors")
    done = run("-", "--dry-run", stdin=text)
    assert done.returncode == 0
    assert done.stdout == f"fetch     models/vae/a.safetensors  {server.url}/a.safetensors\n"
    assert "1 file to " in done.stderr
    assert "1 of unknown size" in done.stderr
    assert "secret" not in done.stdout + done.stderr
    assert not (tmp_path / "home").exists()


def test_a_dry_run_fails_when_something_is_in_the_way(run: Run, tmp_path: Path) -> None:
    (tmp_path / "home/models/vae").mkdir(parents=True)
    (tmp_path / "home/models/vae/a.safetensors").write_bytes(DATA)
    done = run("-", "--dry-run", stdin=entry("a.safetensors", "checksum=sha-256=" + "b" * 64))
    assert done.returncode == 1
    assert done.stdout.startswith("conflict  models/vae/a.safetensors")


def test_json_lines_tell_the_whole_story(run: Run, server: Server) -> None:
    server.answers["/a.safetensors"] = DATA
    done = run(
        "-", "--json", stdin=entry("a.safetensors", "split=4") + entry("b.safetensors?key=secret", "out=b.pt")
    )
    assert done.returncode == 3
    told = records(done)
    assert {record["event"] for record in told} == {"warning", "plan", "progress", "file", "done"}
    counts = {"fetched": 1, "linked": 0, "there": 0, "failed": 1}
    assert told[-1] == {"event": "done", "status": "error", **counts}
    files = {record["file"]: record for record in told if record["event"] == "file"}
    assert files["models/vae/a.safetensors"]["status"] == "fetched"
    assert files["models/vae/b.pt"]["status"] == "failed"
    assert files["models/vae/b.pt"]["code"] == "transfer"
    last = [record for record in told if record["event"] == "progress" and "done" in record][-1]
    assert (last["file"], last["done"], last["total"]) == ("models/vae/a.safetensors", len(DATA), len(DATA))
    assert last["host"] == server.url.removeprefix("http://")
    assert "secret" not in done.stdout + done.stderr


def test_json_of_a_dry_run_and_of_an_error(run: Run) -> None:
    done = run("-", "--json", "--dry-run", stdin=entry("a.safetensors"))
    assert [record["event"] for record in records(done)] == ["plan", "space", "done"]
    done = run("-", "--json", stdin="x\n")
    assert done.returncode == 2
    assert [(record["event"], record["code"]) for record in records(done)] == [("error", "manifest")]


def test_a_selection_that_matches_nothing_exits_with_2(run: Run, server: Server) -> None:
    done = run("-", "--only", "zzz*", stdin=entry("a.safetensors"))
    assert done.returncode == 2
    assert "'zzz*' matches none" in done.stderr
    assert server.seen == []


def test_rules_that_cannot_be_used_exit_with_2(tmp_path: Path) -> None:
    done = install_models("-", cwd=tmp_path, COMFYKIT_MIRRORS="huggingface.co")
    assert done.returncode == 2
    assert "COMFYKIT_MIRRORS" in done.stderr


def test_ctrl_c_ends_at_once_and_leaves_nothing_under_the_final_name(server: Server, tmp_path: Path) -> None:
    def stuck(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "20000")
        handler.end_headers()
        handler.wfile.write(b"\x80\x02" + bytes(10_000))
        time.sleep(20)

    server.answers["/a.pt"] = stuck
    server.answers["/b.safetensors"] = DATA
    process = subprocess.Popen(
        [*COMMAND, "-", "--home", str(tmp_path / "home")],
        env=environment(COMFYKIT_MIRRORS=f"{HUB}={server.url}/"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdin
    process.stdin.write(entry("a.pt") + entry("b.safetensors"))
    process.stdin.close()
    process.stdin = None
    deadline = time.monotonic() + 20
    while not (tmp_path / "home/models/vae/b.safetensors").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(0.2)
    started = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=10)
    assert time.monotonic() - started < 2
    assert process.returncode == 130
    assert "Traceback" not in err
    assert "interrupted" in err
    names = {name for name in files_below(tmp_path / "home" / "models") if "/." not in name}
    assert names == {"vae/b.safetensors"}


def test_help_imports_little() -> None:
    code = (
        "import sys; sys.argv = ['comfykit', 'install-models', '--help']\n"
        "from comfykit.cli.app import main\n"
        "try:\n    main()\n"
        "finally:\n    assert not {'torch', 'httpx', 'comfykit.services.install_models'} & set(sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=True
    )
    assert "--dry-run" in done.stdout


def test_a_terminal_gets_bars(server: Server, tmp_path: Path) -> None:
    server.answers["/a.safetensors"] = DATA
    (tmp_path / "list.txt").write_text(entry("a.safetensors") + entry("none.pt"))
    seen = run_in_terminal(
        "from comfykit.cli.app import main; main()",
        ["install-models", str(tmp_path / "list.txt"), "--home", str(tmp_path / "home")],
        environment=environment(COMFYKIT_MIRRORS=f"{HUB}={server.url}/"),
        columns=120,
    )
    shown = seen.screen.decode()
    assert seen.code == 3
    assert "/2 files" in shown
    assert server.url.removeprefix("http://") in shown
    assert "Traceback" not in shown
    assert "1 fetched, 0 there, 1 failed" in shown


def test_a_dry_run_asks_how_large_files_are_and_says_what_does_not_fit(
    run: Run, server: Server, tmp_path: Path
) -> None:
    server.answers["/a.safetensors"] = DATA
    huge = 10**17
    done = run("-", "--dry-run", stdin=entry("a.safetensors") + entry("b.safetensors") + f"# size={huge}\n")
    assert done.returncode == 1
    assert f"models/vae/a.safetensors  {len(DATA) / 1024:.1f} KiB" in done.stdout
    assert "too few" in done.stderr
    assert [path for path, _ in server.seen] == ["/a.safetensors"]
    done = run("-", stdin=entry("a.safetensors") + entry("b.safetensors") + f"# size={huge}\n")
    assert done.returncode == 1
    assert "bytes are free" in done.stderr
    assert not (tmp_path / "home" / "models").exists()


def test_a_file_of_the_hugging_face_cache_is_linked_and_not_fetched(server: Server, tmp_path: Path) -> None:
    blob = tmp_path / "hub" / "models--owner--repo" / "blobs" / sha256(DATA)
    blob.parent.mkdir(parents=True)
    blob.write_bytes(DATA)
    text = f"{server.url}/a.safetensors\n  dir=models/vae\n  checksum=sha-256={sha256(DATA)}\n"
    for status_word in ("linked", "there"):
        done = install_models(
            "-",
            "--home",
            "home",
            cwd=tmp_path,
            stdin=text.encode(),
            HF_HUB_CACHE=str(tmp_path / "hub"),
        )
        assert done.returncode == 0
        assert done.stdout.split()[:2] == [status_word, "models/vae/a.safetensors"]
    assert server.seen == []
    assert (tmp_path / "home/models/vae/a.safetensors").read_bytes() == DATA


@pytest.mark.parametrize("option", ["--backend=curl", "--connections=0", "--max-speed=fast"])
def test_options_that_cannot_be_used_exit_with_2(run: Run, option: str) -> None:
    done = run("-", option, stdin=entry("a.safetensors"))
    assert done.returncode == 2
    assert option.partition("=")[0] in done.stderr
