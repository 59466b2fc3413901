"""A pack's files: their hash, their copy, and what may not be among them."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

from comfykit.errors import PackError

# Not part of a pack: what git keeps, and what Python makes. Compiled files could hold other code than the
# sources that were hashed, so none that comes with a pack stays.
LEFT_OUT = frozenset({".git", "__pycache__"})
_BLOCK = 1024 * 1024


def tree_hash(folder: Path) -> str:
    """`sha256:HEX` over names, executable bits and bytes of a folder's files, or of a single file.

    The same for the same files wherever and however they came. Links count by where they lead to; folders
    without files do not count. Raises `PackError` for what is neither file, link nor folder.
    """
    whole = hashlib.sha256()
    entries = [(folder.name, folder)] if folder.is_file() else list(_files(folder))
    for name, path in sorted((os.fsencode(name), path) for name, path in entries):
        kind, data = _digest(path)
        whole.update(b"%s %d:%s %s\n" % (kind, len(name), name, data))
    return f"sha256:{whole.hexdigest()}"


def file_hash(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal digits."""
    found = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            found.update(block)
    return found.hexdigest()


def clean_tree(folder: Path) -> None:
    """Remove compiled files; raise `PackError` for links that lead out of the folder and for odd files."""
    for above, folders, names in os.walk(folder):
        if "__pycache__" in (*folders, *names):
            folders[:] = [name for name in folders if name != "__pycache__"]
            _remove(Path(above) / "__pycache__")
    if folder.is_file():
        return
    root = os.path.realpath(folder)
    for name, path in _files(folder):
        mode = path.lstat().st_mode
        if stat.S_ISLNK(mode):
            target = path.readlink()
            if target.is_absolute() or os.path.commonpath([root, os.path.realpath(path)]) != root:
                raise PackError(f"{name} is a link that leads out of the pack, to {str(target)!r}")
        elif not stat.S_ISREG(mode):
            raise PackError(f"{name} is neither a file, a folder nor a link")


def copy_tree(source: Path, target: Path) -> None:
    """Copy a pack's folder, or its single file, without what does not belong to it."""
    if source.is_file():
        shutil.copy(source, target)
        return
    shutil.copytree(source, target, symlinks=True, ignore=lambda _, names: LEFT_OUT.intersection(names))


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    """Every file and link below a folder by its relative path; links are not followed."""
    for above, folders, names in os.walk(folder, onerror=_refuse):
        links = [name for name in folders if os.path.islink(os.path.join(above, name))]  # noqa: PTH114, PTH118
        folders[:] = [name for name in folders if name not in LEFT_OUT]
        for name in [*names, *links]:
            if name not in LEFT_OUT:
                path = Path(above) / name
                yield path.relative_to(folder).as_posix(), path


def _digest(path: Path) -> tuple[bytes, bytes]:
    """What an entry is (`f`, `x` when executable, `l`) and the hash of its bytes."""
    mode = path.lstat().st_mode
    if stat.S_ISLNK(mode):
        return b"l", hashlib.sha256(os.fsencode(path.readlink())).hexdigest().encode()
    if not stat.S_ISREG(mode):
        raise PackError(f"{path} is neither a file, a folder nor a link")
    return b"x" if mode & stat.S_IXUSR else b"f", file_hash(path).encode()


def _remove(path: Path) -> None:
    if path.is_symlink() or path.is_file():
        path.unlink()
    else:
        shutil.rmtree(path)


def _refuse(error: OSError) -> None:
    raise PackError(f"{error.filename} cannot be read: {error.strerror}") from error
