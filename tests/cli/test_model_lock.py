"""Commands on models in a home that has a `comfykit.lock`."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from comfykit.cli.app import build
from comfykit.home import Home
from comfykit.packs.lock import Lock, LockedModel, LockedPack, lock_path, read_lock, render_lock
from fetch_support import safetensors, serving, sha256

OTHER = LockedModel("loras/not-fetched-yet.safetensors", 7, "a" * 64, ("https://example.com/x",))
PACK = LockedPack("Alpha", "git", "https://example.com/alpha", tree="sha256:" + "b" * 64)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setenv("COMFYKIT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "home").mkdir()
    lock_path(Home(tmp_path / "home")).write_text(render_lock(Lock(packs=(PACK,), models=(OTHER,))))
    return Home(tmp_path / "home")


def run(*arguments: str) -> Result:
    done = CliRunner().invoke(build(), list(arguments), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done


def add(path: str = "/a.safetensors") -> tuple[Result, LockedModel]:
    """Fetch a model; what the lock should say of it."""
    data = safetensors()
    with serving({path: data}) as server:
        done = run("models", "add", f"{server.url}{path}", "--kind", "vae")
        return done, LockedModel(f"vae{path}", len(data), sha256(data), (f"{server.url}{path}",))


def test_a_model_that_comes_is_locked_and_one_that_goes_is_not(home: Home) -> None:
    done, entry = add()
    assert "comfykit.lock says so too" in done.output
    assert read_lock(home) == Lock(packs=(PACK,), models=(OTHER, entry))
    run("models", "prune", "--yes")
    assert read_lock(home) == Lock(packs=(PACK,), models=(OTHER, entry))
    assert '"event": "lock"' in run("models", "remove", "a.safetensors", "--yes", "--json").stdout
    assert read_lock(home) == Lock(packs=(PACK,), models=(OTHER,))


def test_a_manifest_is_locked_too_and_what_is_there_stays_as_it_is(home: Home, tmp_path: Path) -> None:
    data = safetensors()
    with serving({"/a.safetensors": data}) as server:
        manifest = tmp_path / "models.txt"
        manifest.write_text(f"{server.url}/a.safetensors\n  dir=models/vae\n  out=b.safetensors\n")
        run("install-models", str(manifest), "--dry-run")
        assert read_lock(home) == Lock(packs=(PACK,), models=(OTHER,))
        run("install-models", str(manifest))
        written = lock_path(home).read_bytes()
        assert [model.path for model in (read_lock(home) or Lock()).models][1] == "vae/b.safetensors"
        assert "says so too" not in run("install-models", str(manifest)).output
    assert lock_path(home).read_bytes() == written


def test_a_home_without_a_lock_gets_none(home: Home) -> None:
    lock_path(home).unlink()
    add()
    assert not lock_path(home).exists()


def test_a_lock_that_cannot_be_read_is_left_alone_with_a_warning(home: Home) -> None:
    lock_path(home).write_text("not toml [")
    done, entry = add()
    assert "the lock does not say what changed" in done.output
    assert lock_path(home).read_text() == "not toml ["
    assert (home.models / entry.path).is_file()
