"""What a zip lists, judged by names, kinds and sizes alone.

Refused: names that lead out of the archive's folder or that file systems read in several ways, two entries
for one place (also where only the case of letters differs), links that lead out, devices, encryption.
Left out: `.git`, compiled files and what macOS adds.
"""

from __future__ import annotations

import re
import stat
import unicodedata
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from comfykit.errors import PackError
from comfykit.packs.limits import PackLimits

_LEFT_OUT = frozenset({".git", "__pycache__", "__macosx", ".ds_store"})
_DRIVE = re.compile(r"[A-Za-z]:")
_ENCRYPTED = 0x1 | 0x40 | 0x2000
_MOST_STEPS = 40
_LONGEST_NAME, _LONGEST_PATH = 255, 1024


@dataclass(frozen=True, slots=True)
class Entry:
    """A file or link of an archive; `name` is its relative path."""

    info: zipfile.ZipInfo
    name: str

    @property
    def mode(self) -> int:
        """Unix mode; 0 where the archive was made elsewhere."""
        return self.info.external_attr >> 16

    @property
    def is_link(self) -> bool:
        """Whether it is a symbolic link, whose target is its content."""
        return stat.S_ISLNK(self.mode)

    @property
    def is_executable(self) -> bool:
        """Whether its owner may execute it."""
        return bool(self.mode & stat.S_IXUSR)


def judge(infos: Iterable[zipfile.ZipInfo], what: str, limits: PackLimits) -> list[Entry]:
    """The files and links that are to be unpacked; raises `PackError` for the first that may not be."""
    entries = []
    total = 0
    for info in infos:
        name = _name(info, what)
        _check_kind(info, name, what)
        total += info.file_size
        if total > limits.bytes:
            raise PackError(f"{what} unpacks to more than a pack may have")
        if not info.is_dir() and not _LEFT_OUT.intersection(part.lower() for part in name.split("/")):
            entries.append(Entry(info, name))
        if len(entries) > limits.files:
            raise PackError(f"{what} lists more files than a pack may have ({limits.files})")
    if not entries:
        raise PackError(f"{what} is an empty archive")
    _check_places(entries, what)
    return entries


def _name(info: zipfile.ZipInfo, what: str) -> str:
    name = info.orig_filename
    parts = name.removesuffix("/").split("/")
    if (
        not name
        or name.startswith("/")
        or "\\" in name
        or _DRIVE.match(name)
        or any(unicodedata.category(character) in ("Cc", "Cs") for character in name)
        or any(part in ("", ".", "..") for part in parts)
    ):
        raise PackError(
            f"{what} holds a name that leads out of its folder, or may: {name!r}",
            hint="nothing was unpacked; do not trust this archive",
        )
    if len(name.encode()) > _LONGEST_PATH or any(len(part.encode()) > _LONGEST_NAME for part in parts):
        raise PackError(f"{what} holds a name that is too long: {name[:60]!r}...")
    return "/".join(parts)


def _check_kind(info: zipfile.ZipInfo, name: str, what: str) -> None:
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK):
        raise PackError(f"{what} holds {name!r}, which is neither a file, a folder nor a link")
    if info.flag_bits & _ENCRYPTED:
        raise PackError(f"{what} is encrypted", hint="unpack it and give the folder")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise PackError(f"{what} is packed in a way that is not usual", hint="unpack it and give the folder")
    if info.is_dir() != (kind == stat.S_IFDIR) and kind != 0:
        raise PackError(f"{what} calls {name!r} a folder in one place and a file in another")
    if info.is_dir() and info.file_size:
        raise PackError(f"{what} holds the folder {name!r} with bytes of its own")


def _check_places(entries: Sequence[Entry], what: str) -> None:
    """Refuse two entries for one place, on a disk that keeps letters' case and on one that does not."""
    files: dict[str, str] = {}
    for entry in entries:
        other = files.setdefault(_folded(entry.name), entry.name)
        if other is not entry.name:
            raise PackError(f"{what} holds {entry.name!r} twice, once as {other!r}")
    for entry in entries:
        parts = _folded(entry.name).split("/")
        for count in range(1, len(parts)):
            above = files.get("/".join(parts[:count]))
            if above is not None:
                raise PackError(f"{what} holds {entry.name!r} below {above!r}, which is not a folder")


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def names_of_links(entries: Sequence[Entry], target_of: Callable[[Entry], str], what: str) -> dict[str, str]:
    """Targets of the links by their names; raises `PackError` for one that leads out."""
    links = {entry.name: target_of(entry) for entry in entries if entry.is_link}
    for name, target in links.items():
        if not target.isprintable() or not _stays_inside(name, links):
            raise PackError(
                f"{what} holds the link {name!r}, which leads out of the pack to {target!r}",
                hint="nothing was unpacked; do not trust this archive",
            )
    return links


def _stays_inside(name: str, links: Mapping[str, str]) -> bool:
    """Follow a link as the file system will, through other links, without a file system."""
    place = name.split("/")[:-1]
    steps = links[name].split("/")
    if not links[name] or links[name].startswith("/"):
        return False
    followed = 1
    while steps:
        step = steps.pop(0)
        if step in ("", "."):
            continue
        if step == "..":
            if not place:
                return False
            place.pop()
            continue
        place.append(step)
        target = links.get("/".join(place))
        if target is not None:
            followed += 1
            if followed > _MOST_STEPS or target.startswith("/"):
                return False
            place.pop()
            steps = target.split("/") + steps
    return True
