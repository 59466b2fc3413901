"""What a pack wants installed: `requirements.txt` and `pyproject.toml`, as pip would read them.

Both count. Where both name a package, `requirements.txt` is followed, since that is the file that ComfyUI
installs. What the source imports and neither names, since ComfyUI has it, is wanted too (`brought`).
A line that cannot be used is named, and the rest is read on. Lines that name a package index or a
place of packages are collected: whoever installs decides about them.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name

from comfykit.packs.brought import brought
from comfykit.packs.requirement_lines import (
    BadLine,
    Option,
    Requirement,
    decode,
    logical_lines,
    read_option,
    read_requirement,
)

REQUIREMENTS, PROJECT = "requirements.txt", "pyproject.toml"
_MAX_BYTES = 1024 * 1024
_MAX_FILES = 20
_INDEXES = ("--index-url", "--extra-index-url")
# These change nothing of what is installed here, or say what is done anyway.
_HARMLESS = ("--prefer-binary", "--require-hashes", "--use-pep517", "--no-cache-dir", "--upgrade", "-U")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a pack wants.

    `constraints` come from `-c` lines. `indexes` and `find_links` are what its files name; nothing of it is
    used unless allowed. `problems` are sentences that start with pack, file and line. `extras` are those it
    offers, `requires_python` the versions of Python that it says it runs on.
    """

    pack: str
    requirements: tuple[Requirement, ...] = ()
    indexes: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    constraints: tuple[Requirement, ...] = ()
    find_links: tuple[str, ...] = ()
    extras: tuple[str, ...] = ()
    requires_python: str | None = None


def wanted_by(pack_folder: Path, extras: Iterable[str] = ()) -> Wanted:
    """Read what a pack wants, with the extras of its `pyproject.toml` that are named; raises nothing."""
    reader = _Reader(pack_folder)
    if pack_folder.is_dir():
        if (pack_folder / REQUIREMENTS).is_file():
            reader.read_file(REQUIREMENTS)
        if (pack_folder / PROJECT).is_file():
            reader.read_project({canonicalize_name(extra) for extra in extras})
    unlisted = brought(pack_folder, {requirement.name for requirement in reader.requirements})
    return Wanted(
        pack_folder.name,
        (*reader.requirements, *unlisted),
        tuple(dict.fromkeys(reader.indexes)),
        tuple(reader.problems),
        tuple(reader.constraints),
        tuple(dict.fromkeys(reader.find_links)),
        tuple(reader.extras),
        reader.requires_python,
    )


@dataclass(slots=True)
class _Reader:
    """What has been read of a pack so far."""

    pack: Path
    requirements: list[Requirement] = field(default_factory=list)
    constraints: list[Requirement] = field(default_factory=list)
    indexes: list[str] = field(default_factory=list)
    find_links: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    extras: list[str] = field(default_factory=list)
    requires_python: str | None = None
    _seen: set[tuple[Path, bool]] = field(default_factory=set)

    def read_file(self, name: str, *, constraints: bool = False) -> None:
        """Read a requirements file, `name` being relative to the pack, and those that it includes."""
        place = self.pack / name
        self._seen.add((place.resolve(), constraints))
        data = self._bytes(name)
        into = self.constraints if constraints else self.requirements
        for line, text in logical_lines(decode(data or b"")):
            try:
                if text.startswith("-"):
                    self._option(read_option(text), name, line, constraints)
                else:
                    into.append(read_requirement(text, pack=self.pack, file=name, line=line))
            except BadLine as bad:
                self._problem(name, line, str(bad))

    def read_project(self, extras: set[str]) -> None:
        """Read the `[project]` table: what `requirements.txt` does not name already."""
        data = self._bytes(PROJECT)
        try:
            document = tomllib.loads(decode(data or b"").replace("\r\n", "\n"))
        except (tomllib.TOMLDecodeError, RecursionError) as error:
            at = re.search(r"line (\d+)", str(error))
            self._problem(PROJECT, int(at[1]) if at else 0, f"is no TOML ({error})")
            return
        project = document.get("project")
        if not isinstance(project, dict):
            return
        if isinstance(project.get("requires-python"), str):
            self.requires_python = project["requires-python"]
        optional = project.get("optional-dependencies")
        groups: dict[str, Any] = {
            canonicalize_name(str(key)): value
            for key, value in (optional.items() if isinstance(optional, dict) else ())
        }
        self.extras = sorted(groups)
        own = canonicalize_name(str(project.get("name") or ""))
        named = {requirement.name for requirement in self.requirements}
        texts = _strings(project.get("dependencies"), groups, own, extras)
        for requirement in self._of_project(texts, data or b""):
            if requirement.name is None or requirement.name not in named:
                self.requirements.append(requirement)
        for unknown in sorted(extras - set(groups)):
            self._problem(PROJECT, 0, f"offers no extra {unknown!r}")
        self._dynamic(document, project)

    def _of_project(self, texts: Sequence[object], data: bytes) -> Iterator[Requirement]:
        lines = decode(data).splitlines()
        for text in texts:
            line = next((at for at, said in enumerate(lines, start=1) if str(text) in said), 0)
            try:
                if not isinstance(text, str):
                    raise BadLine(f"{text!r} is no text")
                yield read_requirement(text, pack=self.pack, file=PROJECT, line=line)
            except BadLine as bad:
                self._problem(PROJECT, line, str(bad))

    def _dynamic(self, document: dict[str, Any], project: dict[str, Any]) -> None:
        """Dependencies that setuptools is told to read from files."""
        if "dependencies" not in (project.get("dynamic") or ()):
            return
        tool = document.get("tool")
        for key in ("setuptools", "dynamic", "dependencies"):
            tool = tool.get(key) if isinstance(tool, dict) else None
        files = tool.get("file") if isinstance(tool, dict) else None
        for name in [files] if isinstance(files, str) else files if isinstance(files, list) else []:
            self._include(str(name), PROJECT, 0, constraints=False)

    def _option(self, option: Option, file: str, line: int, constraints: bool) -> None:
        name, value = option.name, option.value
        if name in _INDEXES or name == "--find-links":
            if len(value.split()) != 1:
                raise BadLine(f"{name} takes one address")
            (self.find_links if name == "--find-links" else self.indexes).append(value)
        elif name in ("--requirement", "--constraint"):
            if "://" in value:
                raise BadLine(f"{value!r} lies outside the pack and is not read")
            relative = (Path(file).parent / value).as_posix()
            self._include(relative, file, line, constraints=constraints or name == "--constraint")
        elif name == "--editable":
            requirement = read_requirement(value, pack=self.pack, file=file, line=line)
            self.requirements.append(requirement)
        elif name not in _HARMLESS:
            raise BadLine(f"the option {name} is not used")

    def _include(self, name: str, file: str, line: int, *, constraints: bool) -> None:
        place = (self.pack / name).resolve()
        if not place.is_relative_to(self.pack.resolve()):
            self._problem(file, line, f"{name!r} lies outside the pack and is not read")
        elif not place.is_file():
            self._problem(file, line, f"there is no file {name!r}")
        elif (place, constraints) not in self._seen and len(self._seen) < _MAX_FILES:
            self.read_file(place.relative_to(self.pack.resolve()).as_posix(), constraints=constraints)

    def _bytes(self, name: str) -> bytes | None:
        place = self.pack / name
        if not place.resolve().is_relative_to(self.pack.resolve()):
            self._problem(name, 0, "is a link that leads outside the pack")
            return None
        try:
            if place.stat().st_size > _MAX_BYTES:
                self._problem(name, 0, f"has more than {_MAX_BYTES} bytes and is not read")
                return None
            return place.read_bytes()
        except OSError as error:
            self._problem(name, 0, f"cannot be read ({error.strerror})")
            return None

    def _problem(self, file: str, line: int, message: str) -> None:
        at = f":{line}" if line else ""
        self.problems.append(f"{self.pack.name}/{file}{at}: {message}")


def _strings(dependencies: object, groups: dict[str, Any], own: str, extras: Iterable[str]) -> list[object]:
    """Dependencies and those of extras, an extra that names the project's own ones (`pack[all]`) followed."""
    found: list[object] = list(dependencies) if isinstance(dependencies, list) else []
    todo, done = list(extras), set[str]()
    while todo:
        extra = canonicalize_name(todo.pop())
        group = groups.get(extra)
        if extra in done or not isinstance(group, list):
            continue
        done.add(extra)
        for text in group:
            itself = re.fullmatch(r"\s*([A-Za-z0-9._-]+)\s*\[([^\]]*)\]\s*", str(text))
            if itself and canonicalize_name(itself[1]) == own:
                todo.extend(itself[2].split(","))
            else:
                found.append(text)
    return found
