"""Reads Dockerfiles as far as ours go, and carries them out in trees of Debian, without an engine."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
CERTIFICATES = "/host-certificates.crt"
_NEEDS = ("debootstrap", "unshare")


@dataclass(frozen=True)
class Instruction:
    """One instruction: `RUN`, its flags (`--mount=...`) and the rest of its text."""

    name: str
    flags: tuple[str, ...]
    text: str

    def flag(self, name: str) -> str | None:
        """The value of a flag."""
        start = f"--{name}="
        return next((flag.removeprefix(start) for flag in self.flags if flag.startswith(start)), None)


@dataclass(frozen=True)
class Stage:
    """A stage by its name, without its FROM."""

    name: str
    instructions: tuple[Instruction, ...]

    def texts(self, name: str) -> list[str]:
        """The texts of all instructions of a name."""
        return [instruction.text for instruction in self.instructions if instruction.name == name]


@dataclass(frozen=True)
class Dockerfile:
    """The stages of a Dockerfile, and the arguments before them with their defaults."""

    arguments: Mapping[str, str]
    stages: tuple[Stage, ...]


def read(text: str) -> Dockerfile:
    """A Dockerfile from its text."""
    joined = re.sub(r"\\\n", "", re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE))
    instructions = [_instruction(line) for line in joined.splitlines() if line.strip()]
    starts = [at for at, found in enumerate(instructions) if found.name == "FROM"]
    arguments = dict(argument(found.text) for found in instructions[: starts[0]])
    stages = [
        Stage(instructions[begin].text.split(" AS ")[1], tuple(instructions[begin + 1 : end]))
        for begin, end in zip(starts, [*starts[1:], len(instructions)], strict=True)
    ]
    return Dockerfile(arguments, tuple(stages))


def argument(text: str) -> tuple[str, str]:
    """Name and default of an ARG."""
    name, _, default = text.partition("=")
    return name, default


def variables(text: str) -> dict[str, str]:
    """What an ENV or a LABEL says."""
    return dict(argument(word) for word in shlex.split(text))


def _instruction(line: str) -> Instruction:
    name, rest = line.strip().split(None, 1)
    words = []
    while rest.startswith("--"):
        word, rest = rest.split(None, 1)
        words.append(word)
    return Instruction(name, tuple(words), rest)


@dataclass
class Tree:
    """A tree of Debian in which the instructions of a stage are carried out, and what they set."""

    path: Path
    environment: dict[str, str] = field(default_factory=lambda: {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"})
    folder: str = "/"
    user: str = "0:0"

    def command(self, *words: str) -> list[str]:
        """How a command is run in the tree, as the first process of its own."""
        uid, gid = self.user.split(":")
        return [
            "unshare", "--mount", "--pid", "--fork", "--kill-child", f"--root={self.path}",
            f"--wd={self.folder}", "--mount-proc", f"--setgid={gid}", f"--setuid={uid}",
            "env", "-i", *(f"{name}={value}" for name, value in self.environment.items()), *words,
        ]  # fmt: skip

    def copied(self, path: Path) -> Tree:
        """A tree like this one."""
        subprocess.run(["cp", "-a", "--no-target-directory", str(self.path), str(path)], check=True)
        return Tree(path)

    def run(self, *words: str, timeout: float = 3000) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(
            self.command(*words), capture_output=True, text=True, timeout=timeout, check=False
        )


def debian(path: Path, release: str = "bookworm") -> Tree:
    """A small Debian with the network of this machine."""
    lacking = [
        program for program in _NEEDS if shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin") is None
    ]
    assert not lacking, f"install {' and '.join(lacking)} for this test, and run it as root"
    mirror = os.environ.get("APT_MIRROR", "http://deb.debian.org")
    subprocess.run(
        ["debootstrap", "--variant=minbase", release, str(path), f"{mirror}/debian"],
        check=True, capture_output=True,
    )  # fmt: skip
    for file in ("/etc/resolv.conf", "/etc/hosts"):
        shutil.copy(file, f"{path}{file}")
    shutil.copy("/etc/ssl/certs/ca-certificates.crt", f"{path}{CERTIFICATES}")
    return Tree(path)


def build(tree: Tree, stage: Stage, arguments: Mapping[str, str], trees: Mapping[str, Tree]) -> None:
    """Carry out a stage; `arguments` are those of the build, `trees` the stages before it."""
    known: dict[str, str] = {}
    for instruction in stage.instructions:
        text = instruction.text
        if instruction.name == "ARG":
            name, default = argument(text)
            known[name] = arguments.get(name, default)
        elif instruction.name == "ENV":
            tree.environment |= variables(_filled(text, {**tree.environment, **known}))
        elif instruction.name == "WORKDIR":
            tree.folder = text
            Path(f"{tree.path}{text}").mkdir(parents=True, exist_ok=True)
        elif instruction.name == "USER":
            tree.user = text
        elif instruction.name == "COPY":
            _copy(instruction, tree, trees)
        elif instruction.name == "RUN":
            certificates = {"SSL_CERT_FILE": CERTIFICATES, "PIP_CERT": CERTIFICATES, **known}
            words = [f"{name}={value}" for name, value in certificates.items()]
            done = tree.run("env", *words, "sh", "-ec", text)
            assert done.returncode == 0, f"{text}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"


def entrypoint(stage: Stage) -> list[str]:
    """The words of the ENTRYPOINT."""
    (text,) = stage.texts("ENTRYPOINT")
    words: list[str] = json.loads(text)
    return words


def _filled(text: str, values: Mapping[str, str]) -> str:
    return re.sub(r"\$\{?(\w+)\}?", lambda found: values.get(found[1], ""), text)


def _copy(instruction: Instruction, tree: Tree, trees: Mapping[str, Tree]) -> None:
    *sources, target = instruction.text.split()
    origin = instruction.flag("from")
    place = Path(f"{tree.path}{target}" if target.startswith("/") else f"{tree.path}{tree.folder}/{target}")
    for source in sources:
        path = Path(f"{trees[origin].path}{source}") if origin else ROOT / source
        where = place / path.name if target.endswith("/") else place
        subprocess.run(["cp", "-a", "--no-target-directory", str(path), str(where)], check=True)
        owner = instruction.flag("chown")
        if owner:
            subprocess.run(["chown", "-R", owner, str(where)], check=True)
