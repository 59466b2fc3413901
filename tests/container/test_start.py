"""`comfykit start` as the first process of a container."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from start_support import PATIENCE, Dripping, entry, large, run, running, send, until

from comfykit.fetch.state_file import FOLDER
from comfykit.services.start_status import UP, Status, is_up
from fetch_support import Server, files_below, safetensors, serving, sha256
from pseudo_terminal import run_in_terminal

DATA = safetensors(3000)
HEALTH = [sys.executable, "-P", "-m", "comfykit", "start", "--health"]


@pytest.fixture
def server() -> Iterator[Server]:
    with serving({}) as found:
        yield found


@pytest.fixture
def home(tmp_path: Path) -> Path:
    root = tmp_path / "home"
    root.mkdir()
    return root


def waiting_for(name: str) -> str:
    """A command that exits with 42 when a signal reaches it."""
    return f"trap 'exit 42' {name}; echo ready; while :; do sleep 0.02; done"


def test_it_exits_with_what_the_command_returns(home: Path) -> None:
    done = run(home, "sh", "-c", "echo out; exit 7")
    assert (done.returncode, done.stdout, done.stderr) == (7, "out\n", "")


def test_what_a_signal_ended_has_the_exit_code_of_shells(home: Path) -> None:
    assert run(home, "sh", "-c", "kill -9 $$").returncode == 128 + signal.SIGKILL


def test_a_command_that_is_none_is_named(home: Path) -> None:
    done = run(home, "no-such-command")
    assert done.returncode == 127
    assert "no-such-command could not be started" in done.stderr
    (home / "text").write_text("no program")
    assert run(home, str(home / "text")).returncode == 126


def test_a_dead_address_is_told_and_keeps_nothing_from_starting(home: Path, server: Server) -> None:
    server.answers["/good.safetensors"] = DATA
    lines = entry(f"{server.url}/dead.safetensors", "dead.safetensors")
    lines += entry(f"{server.url}/good.safetensors", "good.safetensors")
    (home / "download.txt").write_text(lines)
    done = run(home, "sh", "-c", "ls models/vae; exit 5", COMFYKIT_HOME=str(home))
    assert done.returncode == 5
    assert files_below(home / "models") == {"vae/good.safetensors": DATA}
    assert "models/vae/dead.safetensors" in done.stderr
    assert "answered 404" in done.stderr
    assert "some of the models of" in done.stderr
    assert "fetched" not in done.stdout


def test_a_list_that_cannot_be_read_is_told_and_the_others_are_brought(
    home: Path, tmp_path: Path, server: Server
) -> None:
    server.answers["/a.safetensors"] = DATA
    bad, good = tmp_path / "bad.txt", tmp_path / "good.txt"
    bad.write_text("  out=x\n")
    good.write_text(entry(f"{server.url}/a.safetensors", "a.safetensors"))
    done = run(home, "--models", str(bad), "--models", str(good), "true")
    assert done.returncode == 0
    assert f"{bad} cannot be used" in done.stderr
    assert files_below(home / "models") == {"vae/a.safetensors": DATA}


@pytest.mark.parametrize("name", ["TERM", "INT", "HUP", "QUIT", "USR1"])
def test_signals_reach_the_command(home: Path, name: str) -> None:
    with running(home, "sh", "-c", waiting_for(name)) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        send(process, signal.Signals[f"SIG{name}"])
        assert process.wait(timeout=PATIENCE) == 42


def test_a_command_of_comfykit_is_stopped_as_ctrl_c_stops_it(home: Path, server: Server) -> None:
    slow = Dripping(large(400_000), pause=1.0)
    server.answers["/slow.safetensors"] = slow
    (home / "list.txt").write_text(entry(f"{server.url}/slow.safetensors", "slow.safetensors"))
    with running(home, "install-models", str(home / "list.txt")) as process:
        until(lambda: slow.sent > 0)
        send(process, signal.SIGTERM)
        _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert "run the same command again to go on" in err


def test_a_stop_while_models_come_is_clean(home: Path, server: Server) -> None:
    slow = Dripping(large(400_000), pause=1.0)
    server.answers["/slow.safetensors"] = slow
    (home / "download.txt").write_text(entry(f"{server.url}/slow.safetensors", "slow.safetensors"))
    with running(home, "echo", "never") as process:
        until(lambda: slow.sent > 0)
        below = psutil.Process(process.pid).children(recursive=True)
        send(process, signal.SIGTERM)
        out, _ = process.communicate(timeout=PATIENCE)
        assert process.returncode == 128 + signal.SIGTERM
    assert out == ""
    assert not any(child.is_running() for child in below)
    assert not (home / "models/vae/slow.safetensors").exists()


def test_orphans_are_reaped(home: Path) -> None:
    orphan = "(sh -c 'echo orphan' &); cat"
    with running(home, "sh", "-c", orphan) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == "orphan\n"
        until(lambda: len(psutil.Process(process.pid).children()) == 1)
        process.stdin.close()
        assert process.wait(timeout=PATIENCE) == 0


def test_a_list_that_changes_is_read_again(home: Path, server: Server) -> None:
    server.answers.update({"/a.safetensors": DATA, "/b.safetensors": DATA})
    first = entry(f"{server.url}/a.safetensors", "a.safetensors")
    listing = home / "download.txt"
    with running(home, "cat") as process:
        assert process.stdin is not None
        process.stdin.write("ready\n")
        process.stdin.flush()
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        listing.write_text(first)
        until((home / "models/vae/a.safetensors").is_file)
        listing.write_text(first + entry(f"{server.url}/b.safetensors", "b.safetensors"))
        until((home / "models/vae/b.safetensors").is_file)
        process.stdin.close()
        assert process.wait(timeout=PATIENCE) == 0


def test_an_update_ends_with_the_command(home: Path, server: Server) -> None:
    slow = Dripping(large(400_000), pause=1.0)
    server.answers["/slow.safetensors"] = slow
    with running(home, "sh", "-c", "echo ready; read line; exit 9") as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        (home / "download.txt").write_text(entry(f"{server.url}/slow.safetensors", "slow.safetensors"))
        until(lambda: slow.sent > 0)
        process.stdin.close()
        assert process.wait(timeout=PATIENCE) == 9


def test_two_containers_bring_a_home_up_to_date_one_after_the_other(home: Path, server: Server) -> None:
    server.answers["/a.safetensors"] = DATA
    (home / "download.txt").write_text(entry(f"{server.url}/a.safetensors", "a.safetensors"))
    (home / FOLDER).mkdir()
    with (home / FOLDER / "start.lock").open("w") as lock:
        lock.write("elsewhere\n")
        lock.flush()
        fcntl.flock(lock, fcntl.LOCK_EX)
        with running(home, "echo", "ran") as process:
            assert process.stderr is not None
            assert "another container (elsewhere) brings" in process.stderr.readline()
            assert server.seen == []
            lock.close()
            assert process.communicate(timeout=PATIENCE)[0] == "ran\n"
    assert files_below(home / "models") == {"vae/a.safetensors": DATA}


def test_a_home_without_locks_is_used_all_the_same(home: Path) -> None:
    (home / "download.txt").write_text("# nothing\n")
    (home / FOLDER / "start.lock").mkdir(parents=True)
    done = run(home, "echo", "ran")
    assert (done.returncode, done.stdout) == (0, "ran\n")
    assert "cannot be locked" in done.stderr


def test_without_a_command_it_stays_up_until_it_is_told_to_end(home: Path, server: Server) -> None:
    server.answers["/a.safetensors"] = DATA
    with running(home) as process:
        until(lambda: UP in "".join(path.read_text() for path in home.parent.glob("comfykit-start-*.json")))
        (home / "download.txt").write_text(entry(f"{server.url}/a.safetensors", "a.safetensors"))
        until((home / "models/vae/a.safetensors").is_file)
        send(process, signal.SIGTERM)
        assert process.wait(timeout=PATIENCE) == 0


def test_cli_args_are_added_to_a_command_of_comfykit_alone(home: Path) -> None:
    done = run(home, "models", "list", CLI_ARGS="--json")
    assert done.returncode == 0
    assert all(json.loads(line) for line in done.stdout.splitlines())
    assert run(home, "echo", "x", CLI_ARGS="--json").stdout == "x\n"
    wrong = run(home, "models", "list", CLI_ARGS="'")
    assert wrong.returncode == 2
    assert "CLI_ARGS" in wrong.stderr


def test_with_json_everything_on_standard_output_is_json(home: Path, server: Server) -> None:
    server.answers["/a.safetensors"] = DATA
    options = [f"checksum=sha-256={sha256(DATA)}"]
    (home / "download.txt").write_text(entry(f"{server.url}/a.safetensors", "a.safetensors", *options))
    done = run(home, "--json", "models", "list", "--json")
    records = [json.loads(line) for line in done.stdout.splitlines()]
    steps = [(record["step"], record["status"]) for record in records if record.get("event") == "step"]
    assert steps == [("models", "started"), ("models", "success")]
    assert "file" in {record.get("event") for record in records}


def test_an_interactive_shell_has_the_terminal(home: Path) -> None:
    """Who reads from a terminal in the background is stopped."""
    seen = run_in_terminal(
        "from comfykit.cli.app import main; main()",
        ["start", "--no-checks", "sh", "-c", 'read line; echo "got $line"; exit 3'],
        environment={"COMFYKIT_HOME": str(home), "TMPDIR": str(home)},
        typed=b"words\n",
    )
    assert b"got words" in seen.screen
    assert seen.code == 3
    assert seen.restored


def test_a_health_check_is_told_how_far_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert not is_up()
    with Status() as status:
        assert not is_up()
        status.write(UP)
        assert is_up()
        (found,) = tmp_path.iterdir()
        found.write_text(json.dumps({"process": gone(), "phase": UP}))
        assert not is_up()
    assert list(tmp_path.iterdir()) == []


def gone() -> int:
    """The number of a process that has ended."""
    process = os.fork()
    if process == 0:
        os._exit(0)
    os.waitpid(process, 0)
    return process


def test_the_health_option_is_a_whole_command(home: Path) -> None:
    done = run(home, "--health")
    assert (done.returncode, done.stdout) == (1, "not up\n")
    up = run(home, "sh", "-c", " ".join(HEALTH))
    assert (up.returncode, up.stdout) == (0, "up\n")
