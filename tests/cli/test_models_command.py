"""`comfykit models`, as a script meets it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from comfykit import home
from comfykit.cli.app import build
from comfykit.errors import ComfykitError, ModelFileError, UsageError
from fetch_support import Server, files_below, safetensors, serving, sha256
from pseudo_terminal import run_in_terminal

A, B = safetensors(100, 1), safetensors(2000, 2)


@pytest.fixture
def server() -> Iterator[Server]:
    with serving({"/a.safetensors": A, "/b.safetensors": B}) as running:
        yield running


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Runs `comfykit models` on a home below `tmp_path`; errors are raised, not told."""
    for name in ("COMFYKIT_MIRRORS", "HF_TOKEN", "HF_HOME", "CIVITAI_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COMFYKIT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")

    def run(*arguments: str, code: int = 0) -> Result:
        done = CliRunner().invoke(build(), ["models", *arguments])
        if isinstance(done.exception, ComfykitError):
            raise done.exception
        assert done.exit_code == code, done.output
        return done

    return run


Run = Callable[..., Result]


def records(done: Result) -> list[dict[str, object]]:
    return [json.loads(line) for line in done.stdout.splitlines()]


def mine(done: Result) -> list[dict[str, object]]:
    """Records of models that did not come with the package."""
    return [record for record in records(done) if record["event"] == "model" and not record.get("packaged")]


def add(run: Run, server: Server, *more: str, name: str = "a", code: int = 0) -> Result:
    return run("add", f"{server.url}/{name}.safetensors", "--kind", "vae", *more, code=code)


def test_a_model_is_added_listed_found_verified_and_removed(run: Run, server: Server, tmp_path: Path) -> None:
    add(run, server, "--sha256", sha256(A))
    path = tmp_path / "home/models/vae/a.safetensors"
    assert path.read_bytes() == A
    (listed,) = mine(run("list", "--json"))
    assert (listed["name"], listed["size"], listed["sha256"]) == ("a.safetensors", len(A), sha256(A))
    assert listed["source"] == f"{server.url}/a.safetensors"
    assert run("where", "a.safetensors").stdout == f"{path}\n"
    done = run("verify", "vae/a.safetensors")
    assert done.stdout.startswith("ok          vae/a.safetensors")
    run("remove", "vae/a.safetensors", "--yes")
    assert not path.exists()
    assert mine(run("list", "--json")) == []


def test_the_table_for_people_names_sizes_and_sources(
    run: Run, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "package" / "checkpoints").mkdir(parents=True)
    (tmp_path / "package" / "checkpoints" / "demo.safetensors").write_bytes(A)
    monkeypatch.setattr(home, "PACKAGED", tmp_path / "package")
    add(run, server, "--name", "sub/x.safetensors")
    done = run("list", "--kind", "vae")
    assert "sub/x.safetensors" in done.stdout
    assert f"{server.url}/a.safetensors" in done.stdout
    done = run("list")
    assert "comes with comfykit" in done.stdout
    assert "demo.safetensors" in done.stdout


def test_what_is_added_must_be_what_it_should_be(run: Run, server: Server, tmp_path: Path) -> None:
    done = add(run, server, "--sha256", "sha-256=" + "a" * 64, code=1)
    assert "sha-256" in done.output
    assert not (tmp_path / "home/models/vae/a.safetensors").exists()


def test_a_dry_run_adds_nothing(run: Run, server: Server, tmp_path: Path) -> None:
    done = add(run, server, "--dry-run")
    assert done.stdout.startswith(f"fetch     models/vae/a.safetensors  {len(A)} B")
    assert not (tmp_path / "home" / "models").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["https://h/a\n  dir=x", "--kind", "vae"],
        ["https://h/a.pt", "--kind", "../x"],
        ["https://h/a.pt", "--kind", "vae", "--name", "../../x"],
        ["https://h/a.pt", "--kind", "vae", "--sha256", "short"],
        ["not an address", "--kind", "vae"],
    ],
)
def test_what_cannot_be_added_is_refused(run: Run, arguments: list[str], tmp_path: Path) -> None:
    with pytest.raises(ComfykitError):
        run("add", *arguments)
    assert not (tmp_path / "home").exists()


def test_verify_says_what_is_wrong_and_exits_with_1(run: Run, server: Server, tmp_path: Path) -> None:
    add(run, server)
    (tmp_path / "home/models/vae/a.safetensors").write_bytes(A[:-3])
    done = run("verify", "--kind", "vae", "--json", code=1)
    (model,) = (record for record in mine(done) if record["name"] == "a.safetensors")
    assert model["status"] == "broken"
    assert "cut off" in str(model["note"])
    last = records(done)[-1]
    assert (last["event"], last["status"], last["broken"]) == ("done", "error", 1)


def test_an_export_installs_the_same_elsewhere(run: Run, server: Server, tmp_path: Path) -> None:
    add(run, server)
    add(run, server, "--name", "sub/b.safetensors", name="b")
    (tmp_path / "home/models/loras").mkdir()
    (tmp_path / "home/models/loras/own.safetensors").write_bytes(B + b"")
    done = run("export", str(tmp_path / "list.txt"))
    assert "2 models, 1 without a known source" in done.stderr
    assert run("export").stdout == (tmp_path / "list.txt").read_text()
    other = CliRunner().invoke(
        build(), ["install-models", str(tmp_path / "list.txt"), "--home", str(tmp_path / "other")]
    )
    assert other.exit_code == 0
    assert files_below(tmp_path / "other" / "models") == {"vae/a.safetensors": A, "vae/sub/b.safetensors": B}
    assert other.stdout.count("verified") == 2


def test_prune_deletes_leftovers_alone(run: Run, server: Server, tmp_path: Path) -> None:
    add(run, server)
    left = tmp_path / "home/models/vae/.b.safetensors.part"
    left.write_bytes(b"x")
    assert str(left) in run("prune", "--dry-run").stdout
    assert left.exists()
    with pytest.raises(UsageError, match="nothing is deleted without a person"):
        run("prune")
    assert "1 file deleted" in run("prune", "--yes").stderr
    assert set(files_below(tmp_path / "home" / "models")) == {"vae/a.safetensors"}
    assert "0 files deleted" in run("prune").stderr


def test_a_script_is_never_asked(run: Run, server: Server, tmp_path: Path) -> None:
    add(run, server)
    with pytest.raises(UsageError) as caught:
        run("remove", "a.safetensors")
    assert "--yes" in str(caught.value.hint)
    assert (tmp_path / "home/models/vae/a.safetensors").exists()


@pytest.mark.parametrize("command", ["where", "list", "verify", "remove"])
def test_a_model_that_is_not_there_is_an_error(run: Run, command: str) -> None:
    with pytest.raises(ModelFileError, match=r"no model 'none\.pt' is installed"):
        run(command, "none.pt")


@pytest.mark.parametrize(("typed", "stays"), [(b"n\n", True), (b"y\n", False)])
def test_a_person_is_asked(tmp_path: Path, typed: bytes, stays: bool) -> None:
    path = tmp_path / "home/models/vae/a.safetensors"
    path.parent.mkdir(parents=True)
    path.write_bytes(A)
    seen = run_in_terminal(
        "from comfykit.cli.app import main; main()",
        ["models", "remove", "a.safetensors", "--home", str(tmp_path / "home")],
        typed=typed,
    )
    assert b"delete 1 file?" in seen.screen
    assert path.exists() is stays
    assert seen.code == int(stays)


def test_a_person_is_asked_before_much_is_fetched(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text(f"http://127.0.0.1:9/a.pt\n  dir=models/vae\n# size={3 * 1024**3}\n")
    seen = run_in_terminal(
        "from comfykit.cli.app import main; main()",
        ["install-models", str(tmp_path / "list.txt"), "--home", str(tmp_path / "home")],
        environment={"COMFYKIT_MIRRORS": ""},
        typed=b"n\n",
    )
    assert b"3.0 GiB" in seen.screen
    assert b"nothing was fetched" in seen.screen
    assert seen.code == 1
    assert not (tmp_path / "home").exists()
