from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from comfykit.errors import PackError
from comfykit.events import Event, PackStep, Warned
from comfykit.packs import change as changing
from comfykit.packs import journal as journals
from comfykit.packs.change import apply, recover, restore
from comfykit.packs.environment import look
from comfykit.packs.resolution import Resolution
from comfykit.packs.uv_tool import Ended, run_uv
from package_support import SOURCE, Place, repository, wheel


def install(place: Place, *names: str) -> None:
    ended = run_uv(("install",), place.environment, place.sources, names)
    assert ended.code == 0, ended.stderr


@pytest.fixture
def upgrade(place: Place) -> Resolution:
    """Adds beta, changes alpha, and puts one OpenCV in the place of another."""
    install(place, "alpha==1.0", "opencv-python==4.11.0")
    return place.resolve(place.pack("A", "beta==2.0\nnumpy<2\nopencv-contrib-python-headless\n"))


def test_apply_and_restore(place: Place, upgrade: Resolution) -> None:
    before, files = place.freeze(), place.files()
    assert {change.name: (change.before, change.after) for change in upgrade.changes} == {
        "alpha": ("1.0", "2.0"),
        "beta": (None, "2.0"),
        "opencv-contrib-python": (None, "4.12.0"),
        "opencv-python": ("4.11.0", None),
    }
    apply(upgrade, place.environment)
    assert place.freeze() == upgrade.after() != before
    assert (place.site / "cv2" / "__init__.py").read_text("utf-8") == "who = 'opencv-contrib-python 4.12.0'\n"
    ended = run_uv(("check",), place.environment, place.sources)
    assert ended.code == 0, ended.stderr
    restore(before, place.environment)
    assert (place.freeze(), place.files()) == (before, files)


def test_applying_twice_is_refused(place: Place) -> None:
    resolution = place.resolve(place.pack("A", "alpha\n"))
    apply(resolution, place.environment)
    with pytest.raises(PackError, match="has changed since it was looked at"):
        apply(resolution, place.environment)
    assert place.resolve(place.pack("A")).changes == ()


def test_restore_of_an_older_list_comes_from_the_index(place: Place) -> None:
    install(place, "alpha==1.0")
    first = place.freeze()
    apply(place.resolve(place.pack("A", "alpha>=1.5,<2\n")), place.environment)
    apply(place.resolve(place.pack("A", "alpha>=2\nbeta\n")), place.environment)
    restore(first, place.environment, sources=place.sources)
    assert place.freeze() == first


def test_restore_of_a_list_that_cannot_be_had_changes_nothing(place: Place) -> None:
    install(place, "alpha==1.0")
    files = place.files()
    with pytest.raises(PackError, match="nothing was changed"):
        restore({**place.freeze(), "alpha": "0.1"}, place.environment, sources=place.sources)
    assert place.files() == files


def test_what_a_script_did_to_the_core_is_taken_back(place: Place) -> None:
    before, files = place.freeze(), place.files()
    apply(place.resolve(place.pack("A", "alpha\n")), place.environment, keep_all=True)
    install(place, "numpy==1.26.4", "torch==2.1.0", "beta==1.0")
    restore(before, place.environment)  # without any source: what is needed was kept
    assert (place.freeze(), place.files()) == (before, files)


def test_other_bytes_than_were_promised_are_refused(place: Place, tmp_path: Path) -> None:
    there = tmp_path / "wheels"
    wheel(there, "gamma", "1.0")
    sources = type(place.sources)(find_links=(str(there),), no_index=True, cache=tmp_path / "cache")
    here = Place(place.environment, there, place.packs, sources)
    resolution = here.resolve(here.pack("A", "gamma\n"))
    wheel(there, "gamma", "1.0", files={"gamma/other.py": ""})
    resolution = replace(resolution, sources=replace(sources, cache=tmp_path / "empty"))
    files = place.files()
    with pytest.raises(PackError, match="could not be fetched and nothing was changed") as caught:
        apply(resolution, place.environment)
    assert "hash" in str(caught.value.hint).lower()
    assert place.files() == files


def test_a_package_may_not_overwrite_the_core(place: Place) -> None:
    resolution = place.resolve(place.pack("A", "thief\n"))
    files = place.files()
    with pytest.raises(PackError, match=r"would overwrite .*numpy/__init__\.py, which belongs to numpy"):
        apply(resolution, place.environment)
    assert place.files() == files


def test_a_file_that_runs_at_every_start_is_told(place: Place) -> None:
    told: list[Event] = []
    apply(place.resolve(place.pack("A", "starter\n")), place.environment, told.append)
    assert told == [
        PackStep("", "fetching and building starter 1.0"),
        Warned("starter.pth, which Python runs at every start, comes with the packages"),
        PackStep("", "installing starter 1.0"),
    ]


def test_what_was_left_out_is_told(place: Place) -> None:
    told: list[Event] = []
    apply(place.resolve(place.pack("A", "vision-user\n")), place.environment, told.append)
    warned = [event for event in told if isinstance(event, Warned)]
    assert warned == [Warned("vision-user 1.0 needs torchaudio, which is not installed")]


def test_a_git_requirement_is_installed_at_its_commit(place: Place, tmp_path: Path) -> None:
    commit = repository(tmp_path / "repo", "gitty", "1.0", ["alpha"])
    before = place.freeze()
    url = f"git+{(tmp_path / 'repo').as_uri()}"
    apply(place.resolve(place.pack("A", f"gitty @ {url}@main\n")), place.environment)
    assert place.freeze() == {**before, "alpha": "2.0", "gitty": f"{url}@{commit}"}
    restore(before, place.environment)
    assert place.freeze() == before


def test_a_package_without_a_list_of_files_is_left_alone(place: Place) -> None:
    install(place, "alpha==1.0")
    (place.site / "alpha-1.0.dist-info" / "RECORD").unlink()
    resolution = place.resolve(place.pack("A", "alpha==2.0\n"))
    with pytest.raises(PackError, match=r"alpha 1.0 would be changed, and there is no list of its files"):
        apply(resolution, place.environment)
    assert place.freeze()["alpha"] == "1.0"


@contextmanager
def failing(monkeypatch: pytest.MonkeyPatch, at: str, error: BaseException | None = None) -> Iterator[None]:
    """uv fails at a command, after it did its work."""

    def run(command: tuple[str, ...], *args: object, **keywords: object) -> Ended:
        ended = run_uv(command, *args, **keywords)  # type: ignore[arg-type]
        if command[0] != at:
            return ended
        if error is not None:
            raise error
        return Ended(2, "", "error: the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(changing, "run_uv", run)
        yield


@pytest.mark.parametrize("at", ["uninstall", "install"])
def test_what_fails_in_the_middle_is_taken_back(
    place: Place, upgrade: Resolution, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    before, files = place.freeze(), place.files()
    with failing(monkeypatch, at), pytest.raises(PackError, match="everything is as it was"):
        apply(upgrade, place.environment)
    assert (place.freeze(), place.files()) == (before, files)
    with failing(monkeypatch, at, KeyboardInterrupt()), pytest.raises(KeyboardInterrupt):
        apply(upgrade, place.environment)
    assert (place.freeze(), place.files()) == (before, files)


# Kills itself where the test says; HALF: the new files are there in part, and no package is whole.
DYING = """
import os, shutil, signal, sys
from pathlib import Path
from comfykit.packs import change
from comfykit.packs.environment import Environment
from comfykit.packs.requirements import wanted_by
from comfykit.packs.resolve import resolve
from comfykit.packs.uv_tool import Ended, Sources, run_uv

python, pack, links, cache, at = sys.argv[1:]

def run(command, *args, **keywords):
    if at == f"before {command[0]}":
        os.kill(os.getpid(), signal.SIGKILL)
    if at == "half" and command[0] == "install":
        site = next(Path(python).parent.parent.glob("lib/python*/site-packages"))
        staged = next(site.parent.glob(".comfykit/staged-*/prefix/lib/python*/site-packages"))
        for path in sorted(path for path in staged.rglob("*") if path.is_file())[::2]:
            target = site / path.relative_to(staged)
            target.parent.mkdir(exist_ok=True)
            target.unlink(missing_ok=True)
            shutil.copy(path, target)
        os.kill(os.getpid(), signal.SIGKILL)
    ended = run_uv(command, *args, **keywords)
    if at == f"after {command[0]}":
        os.kill(os.getpid(), signal.SIGKILL)
    return ended

change.run_uv = run
sources = Sources(find_links=(links,), no_index=True, cache=Path(cache))
environment = Environment(Path(python))
change.apply(resolve([wanted_by(Path(pack))], environment, sources=sources), environment)
"""


@pytest.mark.parametrize("at", ["before uninstall", "after uninstall", "half", "after install"])
def test_a_killed_installation_is_undone(place: Place, upgrade: Resolution, at: str) -> None:
    assert upgrade.conflicts == ()
    before, files = place.freeze(), place.files()
    arguments = [place.environment.python, place.packs / "A", place.wheels, place.sources.cache, at]
    ended = subprocess.run(
        [sys.executable, "-c", DYING, *map(str, arguments)],
        check=False,
        timeout=120,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(SOURCE)},
    )
    assert ended.returncode == -signal.SIGKILL
    told: list[Event] = []
    assert recover(place.environment, told.append)
    assert told == [Warned("an installation of packages was cut off; it is undone")]
    assert (place.freeze(), place.files()) == (before, files)
    assert not recover(place.environment)
    restore(before, place.environment)
    assert not list(journals.store(look(place.environment)).glob("staged-*"))


def test_restore_finishes_what_a_kill_began(place: Place, upgrade: Resolution) -> None:
    before, files = place.freeze(), place.files()
    arguments = [place.environment.python, place.packs / "A", place.wheels, place.sources.cache, "half"]
    subprocess.run(
        [sys.executable, "-c", DYING, *map(str, arguments)],
        check=False,
        timeout=120,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(SOURCE)},
    )
    assert place.freeze() != before
    restore(before, place.environment)
    assert (place.freeze(), place.files()) == (before, files)


def test_others_wait_until_a_change_is_over(place: Place) -> None:
    folder = journals.store(look(place.environment))
    with journals.locked(folder) as descriptor:
        child = subprocess.Popen(["cat"], stdin=subprocess.PIPE, pass_fds=(descriptor,))
    # The lock outlives whoever took it, as long as the child has it.
    told: list[str] = []

    def waiting() -> Iterator[None]:
        told.append("waits")
        assert child.stdin is not None
        child.stdin.close()
        yield

    with journals.locked(folder, waiting()):
        assert child.wait(10) == 0
    assert told == ["waits"]
