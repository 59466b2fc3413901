"""Changes to a home's packs that happen all or not at all, also where the process is killed.

Before anything is touched, the journal says what was there. What a change replaces is moved aside, which
costs nothing, and moved back when the change fails: by this process, or by the next one that finds the
journal. Python packages are put back by whoever the caller names.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from comfykit.errors import PackError
from comfykit.home import Home
from comfykit.packs.layout import packs_folder, state_folder

JOURNAL = "journal.json"
_VERSION = 1
_WAITS = (0.05, 0.1, 0.2, 0.4, 0.8)  # seconds


@dataclass(frozen=True, slots=True)
class Packages:
    """The Python packages of an environment before a change, name to version."""

    python: str
    before: Mapping[str, str]


PutBack = Callable[[Packages], object]


class Transaction:
    """One change. Everything it does can be undone until `commit`, by anybody who reads its journal.

    Use it while the home is held (`holding`). Paths in the journal are relative to the home.
    """

    def __init__(self, home: Home, name: str) -> None:
        self._home = home
        self._journal = journal_path(home)
        self._state: dict[str, Any] = {
            "version": _VERSION,
            "name": name,
            "pid": os.getpid(),
            "committed": False,
            "folders": _missing_folders(home),
            "moves": [],
            "files": [],
            "packages": None,
        }
        self.staging = _staging(home) / name
        self.snapshot = state_folder(home) / "snapshots" / name
        state_folder(home).mkdir(parents=True, exist_ok=True)
        self._note()
        _remove(_staging(home))
        self.staging.mkdir(parents=True)

    def replace(self, place: Path, new: Path | None) -> None:
        """Move `new` to `place`, and what lies there into the snapshot; None only takes it away."""
        kept = self.snapshot / "kept" / place.relative_to(self._home.root)
        there = os.path.lexists(place)
        self._state["moves"].append({"place": self._below(place), "kept": self._below(kept), "there": there})
        self._note()
        if there:
            _move(place, kept)
        if new is not None:
            _move(new, place)

    def rename(self, old: Path, new: Path) -> None:
        """Give something in the home another name, where nothing lies yet."""
        self._state["moves"].append({"place": self._below(old), "kept": self._below(new), "there": True})
        self._note()
        old.rename(new)

    def write(self, path: Path, text: str) -> None:
        """Write a small file of the home."""
        before = path.read_text(encoding="utf-8") if path.is_file() else None
        self._state["files"].append({"path": self._below(path), "before": before})
        self._note()
        path.parent.mkdir(parents=True, exist_ok=True)
        _write(path, text)

    def changes_packages(self, before: Packages) -> None:
        """Note what an environment holds, before it is changed."""
        self._state["packages"] = asdict(before)
        self._note()

    def commit(self) -> None:
        """Keep it all: from here on nothing is undone."""
        self._state["committed"] = True
        self._note()
        _clean_up(self._home, self._journal)

    def roll_back(self, put_back: PutBack) -> None:
        """Leave everything as it was; raises what `put_back` raises, and the journal stays then."""
        _undo(self._home, self._state, self._journal, put_back)

    def _note(self) -> None:
        _write(self._journal, json.dumps(self._state, indent=1))

    def _below(self, path: Path) -> str:
        return path.relative_to(self._home.root).as_posix()


def journal_path(home: Home) -> Path:
    """Where the journal of a home lies while a change is under way."""
    return state_folder(home) / JOURNAL


def is_unfinished(home: Home) -> bool:
    """Whether a change is under way, or a killed process left something of one."""
    journal = journal_path(home)
    if any(os.path.lexists(path) for path in (journal, _beside(journal), _staging(home))):
        return True
    return journal.parent.is_dir() and not any(journal.parent.iterdir())


def recover(home: Home, put_back: PutBack) -> str | None:
    """Finish what a killed process began; the name of its change, None where there is nothing to do.

    Call it while the home is held. Raises `PackError` for a journal that cannot be read, and what
    `put_back` raises: then the journal stays for the next try.
    """
    path = journal_path(home)
    try:
        state = json.loads(path.read_text(encoding="utf-8"))
        if state["version"] != _VERSION:
            raise ValueError(f"version {state['version']}")
    except FileNotFoundError:
        _clean_up(home, path)
        for folder in (path.parent, path.parent.parent):  # made, and the journal not yet
            with suppress(OSError):
                folder.rmdir()
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PackError(
            f"{path} cannot be read ({error}), so that a change that was cut off cannot be undone",
            hint="look at custom_nodes/ and at .comfykit/packs/snapshots/, then remove the file",
        ) from error
    name = str(state["name"])
    if state["committed"]:
        _clean_up(home, path)
        return None
    _undo(home, state, path, put_back)
    return name


@contextmanager
def holding(home: Home, *further: Path, waiting: Callable[[], object] = lambda: None) -> Iterator[None]:
    """Be the only one who changes this home's packs, and what lies in `further` folders.

    `waiting` is called once if another process has to be waited for. The folders themselves are locked,
    so that nothing is left lying. A home that was not there, and is empty in the end, is taken away again.
    """
    told: list[bool] = []

    def tell() -> None:
        if not told:
            told.append(True)
            waiting()

    new: list[Path] = []
    descriptors = []
    try:
        for folder in further:
            descriptors.append(_hold(folder, tell))
        descriptors.append(_hold(home.root, tell, new))
        yield
    finally:
        for folder in new:
            with suppress(OSError):
                folder.rmdir()
        for descriptor in descriptors:
            os.close(descriptor)


def is_held(home: Home) -> bool:
    """Whether another process changes this home's packs at this moment."""
    try:
        descriptor = os.open(home.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # a file system without locks
        return False
    finally:
        os.close(descriptor)
    return False


def _hold(folder: Path, tell: Callable[[], object], new: list[Path] | None = None) -> int:
    """A locked descriptor of a folder; again where somebody took the folder away meanwhile.

    With `new`, a folder that is not there is made, and what was made is put into it.
    """
    while True:
        if new is not None:
            new[:] = [above for above in (folder, *folder.parents) if not above.exists()]
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise PackError(
                    f"{folder} cannot be made ({error.strerror})", hint="choose another home with --home"
                ) from error
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                tell()
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            except OSError:  # a file system without locks
                return descriptor
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(descriptor), folder.stat()):
                    return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _undo(home: Home, state: Mapping[str, Any], journal: Path, put_back: PutBack) -> None:
    """Take back each thing that may have been done, last first; doing it twice does no harm."""
    for move in reversed(state["moves"]):
        _move_back(home.root / move["place"], home.root / move["kept"], there=move["there"])
    for file in reversed(state["files"]):
        path = home.root / file["path"]
        _beside(path).unlink(missing_ok=True)
        if file["before"] is None:
            path.unlink(missing_ok=True)
        else:
            _write(path, file["before"])
    if state["packages"] is not None:
        put_back(Packages(state["packages"]["python"], state["packages"]["before"]))
    _remove(state_folder(home) / "snapshots" / str(state["name"]))
    _clean_up(home, journal)
    for folder in reversed(state["folders"]):
        with suppress(OSError):
            (home.root / folder).rmdir()


def _move(source: Path, target: Path) -> None:
    """Rename; where the two lie on different disks, copy beside the target first. The source goes last."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        source.rename(target)
        return
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
    part = _part(target)
    _remove(part)
    if source.is_dir() and not source.is_symlink():
        shutil.copytree(source, part, symlinks=True)
    else:
        shutil.copy2(source, part, follow_symlinks=False)
    part.rename(target)
    _remove(source)


def _part(path: Path) -> Path:
    return path.with_name(f".{path.name}.part")


def _move_back(place: Path, kept: Path, *, there: bool) -> None:
    _remove(_part(place))
    if not there:
        _remove(place)
    elif os.path.lexists(kept):
        _remove(place)
        _move(kept, place)


def _clean_up(home: Home, journal: Path) -> None:
    for wait in _WAITS:  # a thread, or git whose parent was killed, may still be writing there
        shutil.rmtree(_staging(home), ignore_errors=True)
        if not _staging(home).exists():
            break
        time.sleep(wait)
    _beside(journal).unlink(missing_ok=True)
    journal.unlink(missing_ok=True)


def _remove(path: Path) -> None:
    """Delete a folder, file or link, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _staging(home: Home) -> Path:
    return state_folder(home) / "staging"


def _missing_folders(home: Home) -> list[str]:
    """Folders that a change creates, outermost first; they go again with it."""
    state = state_folder(home)
    wanted = (packs_folder(home), state.parent, state, state / "snapshots")
    return [folder.relative_to(home.root).as_posix() for folder in wanted if not folder.exists()]


def _write(path: Path, text: str) -> None:
    """Replace a file by a rename, once its bytes are on the disk. There is one writer: who holds the home."""
    beside = _beside(path)
    with beside.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.new")
