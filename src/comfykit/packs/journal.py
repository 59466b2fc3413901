"""What undoes a change of an environment: the files that it replaces, and the names of those that it brings.

The journal is written before the first change and lies beside the environment's packages, so that a change
that was killed at any moment can be undone by whoever comes next, without a network. Files that a package
manager is about to unlink are kept as hard links, which costs no space and no time.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from comfykit.packs.environment import Installed

_FOLDER, _FILE, _KEPT, _LOCK = ".comfykit", "journal.json", "kept", "lock"
_VERSION = 1


@dataclass(frozen=True, slots=True)
class Journal:
    """A change of an environment: what was installed before it, and how far it has come.

    `new` are files that it brings and that were not there, `folders` those that it makes, `kept` the places
    of files that it replaces; the number of each is the name of its copy.
    """

    before: Mapping[str, str]
    names: tuple[str, ...]
    new: tuple[str, ...]
    folders: tuple[str, ...]
    kept: tuple[str, ...]
    is_done: bool = False


def store(installed: Installed) -> Path:
    """The folder beside an environment's packages that its journal lies in."""
    return installed.paths["purelib"].parent / _FOLDER


@contextmanager
def locked(folder: Path, waiting: Iterable[object] = ()) -> Iterator[int]:
    """Hold the environment's lock, which a child that is given the descriptor keeps after our death.

    `waiting` is gone through once where somebody else holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            for _ in waiting:
                pass
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)


def read(folder: Path) -> Journal | None:
    """The journal of the last change; None where there is none that can be used."""
    try:
        document = json.loads((folder / _FILE).read_bytes())
        if document["version"] != _VERSION:
            return None
        names, new, folders, kept = (
            tuple(map(str, document[key])) for key in ("names", "new", "folders", "kept")
        )
        return Journal(dict(document["before"]), names, new, folders, kept, bool(document["is_done"]))
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def begin(folder: Path, installed: Installed, names: Collection[str], incoming: Collection[Path]) -> Journal:
    """Keep what a change of these packages may touch, and write that down; replaces the journal before it."""
    forget(folder)
    kept_folder = folder / _KEPT
    kept_folder.mkdir(parents=True)
    ours = {file for name in names for file in _files(installed, name)}
    kept = sorted(ours | {path for path in incoming if os.path.lexists(path)})
    written = set(incoming)  # perhaps in place: a link would be written with it
    for number, path in enumerate(kept):
        _keep(path, kept_folder / str(number), by_link=path not in written)
    new = [path for path in incoming if not os.path.lexists(path)]
    folders = {above for path in new for above in path.parents if not above.exists()}
    journal = Journal(
        installed.frozen(),
        tuple(sorted(names)),
        tuple(map(str, new)),
        tuple(map(str, sorted(folders, key=lambda path: -len(path.parts)))),
        tuple(map(str, kept)),
    )
    _write(folder, journal)
    return journal


def end(folder: Path, journal: Journal) -> None:
    """Say that the change was completed; what it kept stays, so that it can still be taken back."""
    _write(
        folder,
        Journal(journal.before, journal.names, journal.new, journal.folders, journal.kept, is_done=True),
    )


def undo(folder: Path, journal: Journal, also: Iterable[Path] = ()) -> None:
    """Bring back what was kept and remove what came; `also` are more files that came since.

    It can itself be cut off and done again.
    """
    for path in (*map(Path, journal.new), *also):
        _remove(path)
    for number, name in enumerate(journal.kept):
        _bring_back(folder / _KEPT / str(number), Path(name))
    kept = {parent for name in journal.kept for parent in Path(name).parents}
    for name in journal.folders:
        made = Path(name)
        shutil.rmtree(made / "__pycache__", ignore_errors=True)
        if made.name.endswith(".dist-info") and made not in kept:
            shutil.rmtree(made, ignore_errors=True)
        with suppress(OSError):  # it holds what is not ours, or is gone
            made.rmdir()
    forget(folder)


def forget(folder: Path) -> None:
    """Remove the journal and what it kept."""
    (folder / _FILE).unlink(missing_ok=True)
    shutil.rmtree(folder / _KEPT, ignore_errors=True)


def _files(installed: Installed, name: str) -> list[Path]:
    found = installed.distributions.get(name)
    return [file for file in found.files if os.path.lexists(file) and not file.is_dir()] if found else []


def _keep(path: Path, copy: Path, *, by_link: bool) -> None:
    if by_link:
        try:
            os.link(path, copy, follow_symlinks=False)
            return
        except OSError:  # another file system, or one without links
            pass
    shutil.copy2(path, copy, follow_symlinks=False)


def _bring_back(copy: Path, path: Path) -> None:
    if not os.path.lexists(copy):
        return
    if os.path.lexists(path) and os.path.samestat(os.lstat(copy), os.lstat(path)):
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name[:200]}.comfykit")
    beside.unlink(missing_ok=True)
    _keep(copy, beside, by_link=True)
    beside.replace(path)
    _remove_bytecode(path)


def _remove(path: Path) -> None:
    with suppress(OSError):
        path.unlink(missing_ok=True)
    _remove_bytecode(path)
    with suppress(OSError):
        path.parent.rmdir()


def _remove_bytecode(path: Path) -> None:
    if path.suffix == ".py":
        for compiled in (path.parent / "__pycache__").glob(f"{path.stem}.*.pyc"):
            compiled.unlink(missing_ok=True)
        with suppress(OSError):
            (path.parent / "__pycache__").rmdir()


def _write(folder: Path, journal: Journal) -> None:
    beside = folder / f"{_FILE}.new"
    with beside.open("w", encoding="utf-8") as file:
        json.dump({"version": _VERSION, **asdict(journal)}, file)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(folder / _FILE)
