"""Asks uv what a set of packs needs. Each pack is shown to it as a small project of its own.

So uv's account of a conflict names packs, and what a package is wanted by can be read from its answer. Those
projects have nothing but a list of dependencies: nothing is built for them, and they are never installed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from packaging.utils import canonicalize_name

from comfykit.errors import PackError
from comfykit.packs.environment import Environment, Installed
from comfykit.packs.uv_tool import Sources, run_uv

_LINE = re.compile(
    r" (?P<sign>[+~-]) (?P<name>[A-Za-z0-9._-]+)"
    r"(?:==(?P<version>\S+))?(?: @ (?P<url>\S+))?(?: \(from (?P<origin>.+)\))?"
)
_PREFIX = "comfykit-pack-"


@dataclass(frozen=True, slots=True)
class PackLines:
    """What is asked for on behalf of a pack: requirements with a name, and addresses without one."""

    pack: str
    requirements: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """What would change: name to version or address; None for `before` or `after` where there is none."""

    changes: Mapping[str, tuple[str | None, str | None]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why there is no plan: uv's account, with names of packs in it; `packs` are those that it names."""

    text: str
    packs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Pin:
    """A line of a requirements file with its hashes, and the packs that it is there for."""

    name: str
    text: str
    hashes: tuple[str, ...]
    wanted_by: tuple[str, ...]

    @property
    def line(self) -> str:
        """The pin with its hashes on one line."""
        return " ".join((self.text, *(f"--hash={value}" for value in self.hashes)))


@dataclass(frozen=True, slots=True)
class Solver:
    """A question to uv but for the packs: the environment, constraints, and names that are left out."""

    folder: Path
    environment: Environment
    installed: Installed
    sources: Sources
    constraints: tuple[str, ...] = ()
    excludes: frozenset[str] = frozenset()
    added: tuple[str, ...] = ()

    def without(self, names: Iterable[str]) -> Solver:
        """The same question, with more names left out."""
        return replace(self, excludes=self.excludes | frozenset(names))

    def plan(self, packs: Sequence[PackLines]) -> Plan | Refusal:
        """What would change if these packs were installed together; changes nothing."""
        if not any(pack.requirements or pack.addresses for pack in packs) and not self.added:
            return Plan()
        slugs, files, options = self._write(packs)
        listed = [argument for file in files for argument in ("-r", file)]
        ended = run_uv(("install",), self.environment, self.sources, ["--dry-run", *listed, *options])
        if ended.code:
            return _refusal(ended.stderr, slugs)
        changes: dict[str, tuple[str | None, str | None]] = {}
        for line in ended.stderr.splitlines():
            match = _LINE.fullmatch(line.rstrip())
            if match is None or (name := canonicalize_name(match["name"])) in slugs:
                continue
            before, after = changes.get(name, (None, None))
            said = match["url"] or match["origin"] or match["version"]
            if match["sign"] == "-":
                found = self.installed.distributions.get(name)
                changes[name] = (found.frozen if found else said, after)
            else:
                changes[name] = (before, said)
        return Plan({name: both for name, both in changes.items() if both[0] != both[1]})

    def pins(self, packs: Sequence[PackLines], plan: Plan) -> tuple[Pin, ...]:
        """The lines that install a plan. Only what changes is looked at, so that nothing else is fetched."""
        wanted = {name: after for name, (_, after) in plan.changes.items() if after is not None}
        if not wanted:
            return ()
        exactly = tuple(f"{name}=={value}" for name, value in wanted.items() if "/" not in value)
        unchanged = frozenset(self.installed.distributions) - set(wanted)
        # Named once more, since what leads to one of them may be installed and left out here.
        narrowed = replace(self, constraints=exactly, excludes=self.excludes | unchanged, added=exactly)
        slugs, files, options = narrowed._write(packs)
        form = ["--generate-hashes", "--no-header", "--annotation-style=split", "--prerelease=allow"]
        ended = run_uv(("compile",), self.environment, self.sources, [*files, *form, *options])
        pins = _read_pins(ended.stdout, slugs)
        if ended.code or {pin.name for pin in pins} != set(wanted):
            raise PackError(
                "the packages that packs need were found and cannot be pinned",
                hint=ended.stderr.strip() or f"uv named {', '.join(pin.name for pin in pins) or 'none'}",
            )
        return pins

    def _write(self, packs: Sequence[PackLines]) -> tuple[dict[str, str], list[Path], list[str | Path]]:
        """Write the question: the names that packs have in it, files of requirements, and uv's options."""
        slugs: dict[str, str] = {}
        files: list[Path] = []
        projects: list[str] = []
        for number, lines in enumerate(packs):
            slug = _slug(lines.pack, slugs, number)
            slugs[slug] = lines.pack
            if lines.requirements:
                project = self.folder / slug
                project.mkdir(exist_ok=True)
                listed = ",\n".join(json.dumps(text) for text in lines.requirements)
                text = f'[project]\nname = "{slug}"\nversion = "0"\ndependencies = [\n{listed}\n]\n'
                (project / "pyproject.toml").write_text(text, encoding="utf-8")
                projects.append(f"{slug} @ {project.as_uri()}")
            if lines.addresses:
                files.append(_lines(self.folder / f"{slug}.txt", lines.addresses))
        files.append(_lines(self.folder / "packs.in", [*projects, *self.added]))
        constraints = _lines(self.folder / "constraints.txt", self.constraints)
        excludes = _lines(self.folder / "excludes.txt", sorted(self.excludes))
        return slugs, files, ["--constraints", constraints, "--excludes", excludes]


def _lines(path: Path, lines: Iterable[str]) -> Path:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def _slug(pack: str, taken: Mapping[str, str], number: int) -> str:
    """A name for a pack that uv accepts, and that no real package has."""
    name = canonicalize_name(re.sub(r"[^A-Za-z0-9]+", "-", pack).strip("-") or str(number))
    return f"{_PREFIX}{name}" if f"{_PREFIX}{name}" not in taken else f"{_PREFIX}{name}-{number}"


def _refusal(text: str, slugs: Mapping[str, str]) -> Refusal:
    """uv's words, with the names that packs have for people."""
    text = "\n".join(line for line in text.splitlines() if not line.startswith("Using Python ")).strip()
    named = tuple(pack for slug, pack in slugs.items() if re.search(rf"{slug}(?![\w-])", text))
    for slug in sorted(slugs, key=len, reverse=True):
        text = re.sub(rf"`?{slug}(==0)?(?![\w-])`?( \(v0\))?", slugs[slug].replace("\\", r"\\"), text)
    return Refusal(text, named)


def _read_pins(text: str, slugs: Mapping[str, str]) -> tuple[Pin, ...]:
    """Pins from what `uv pip compile` writes, each with the packs that lead to it."""
    pins: dict[str, tuple[str, list[str], set[str]]] = {}
    name = ""
    for line in text.splitlines():
        said = line.strip().removesuffix("\\").strip()
        if line and not line[0].isspace() and not line.startswith("#"):
            name = canonicalize_name(re.split(r"[=@\[ ;]", said, maxsplit=1)[0])
            pins[name] = (said, [], set())
        elif said.startswith("--hash="):
            pins[name][1].append(said.removeprefix("--hash="))
        elif said.startswith("#"):
            above = said.lstrip("# ").removeprefix("via").strip()
            if above.startswith("-r "):
                above = Path(above[3:]).stem
            if above and not above.startswith("-"):
                pins[name][2].add(canonicalize_name(above.split("[")[0]))
    above_of = {name: above for name, (_, _, above) in pins.items()}
    return tuple(
        Pin(name, said, tuple(hashes), _packs_above(name, above_of, slugs))
        for name, (said, hashes, _) in pins.items()
        if name not in slugs
    )


def _packs_above(name: str, above_of: Mapping[str, set[str]], slugs: Mapping[str, str]) -> tuple[str, ...]:
    seen, todo = {name}, [name]
    while todo:
        for above in above_of.get(todo.pop(), set()) - seen:
            seen.add(above)
            todo.append(above)
    return tuple(pack for slug, pack in slugs.items() if slug in seen)
