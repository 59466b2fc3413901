"""A home, sites that misbehave and the command between them; and what must hold however it ends."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fault_limits import defaults
from fault_server import Capture, Request, Site

from comfykit.cli.app import main
from comfykit.fetch.limits import Limits
from fetch_support import environment, files_below, sha256

SECRET = "Zk3-not-for-strangers"  # whatever is secret in a test; it is searched for everywhere
NAME = "models/checkpoints/m.safetensors"
PARTIAL = re.compile(r"(.*/)?\.(?P<name>[^/]+)\.part(\.json(\.new)?)?")
ASIDE = re.compile(r".*\.rejected(\.txt|\.json)?")
OWN = ".comfykit/"  # what comfykit remembers of a home

with_both_backends = pytest.mark.parametrize("backend", ["httpx", "aria2"], indirect=True)

Record = dict[str, Any]


@dataclass(frozen=True)
class Done:
    """How the command ended: exit code, JSON lines, and what it said beside them."""

    code: int
    records: list[Record]
    out: str
    err: str

    def file(self, name: str = NAME) -> Record:
        """What became of one file."""
        (record,) = [r for r in self.records if r["event"] == "file" and r["file"] == name]
        return record

    def told(self) -> str:
        """All that a person can read of it: outcomes, hints, warnings and errors."""
        words = [str(r.get(key) or "") for r in self.records for key in ("message", "note", "hint")]
        return "\n".join([*words, self.err])


class Stage:
    """One home and its user; sites are made on demand and end with the test."""

    def __init__(
        self, root: Path, backend: str, monkeypatch: pytest.MonkeyPatch, read: Callable[[], tuple[str, str]]
    ) -> None:
        self.root = root
        self.backend = backend
        self.home = root / "home"
        self.capture = Capture()
        self._read = read
        self._patch = monkeypatch
        self._sites: list[Site] = []

    def site(self, **more: Any) -> Site:
        site = Site(self.capture, **more)
        self._sites.append(site)
        return site

    def close(self) -> None:
        for site in self._sites:
            site.close()

    def write(self, *entries: str) -> Path:
        """A manifest with these entries."""
        path = self.root / "list.txt"
        path.write_text("".join(entries))
        return path

    def environment(self, **more: str) -> dict[str, str]:
        """Nothing of the person who runs the tests: no home folder, token, proxy or setting."""
        hidden = ("HF_", "HUGGING", "CIVITAI", "GITHUB", "XDG_", "SSL_CERT", "MODELSCOPE")
        kept = {name: text for name, text in environment().items() if not name.startswith(hidden)}
        user = str(self.root / "user")
        own = {"HOME": user, "XDG_CACHE_HOME": f"{user}/.cache", "NO_COLOR": "1"}
        return {**kept, **own, "COMFYKIT_BACKEND": self.backend, **more}

    def run(
        self,
        manifest: Path,
        *arguments: str,
        env: Mapping[str, str] | None = None,
        json_lines: bool = True,
        **limits: float,
    ) -> Done:
        """`comfykit install-models MANIFEST --home ... --json` in this process, with small limits."""
        words = ["comfykit", "install-models", str(manifest), "--home", str(self.home), *arguments]
        words += ["--json"] if json_lines else []
        with self._patch.context() as patch:
            patch.setattr(sys, "argv", words)
            patch.setattr(Limits.__init__, "__defaults__", defaults(**limits))
            for name in list(os.environ):
                patch.delenv(name)
            for name, text in self.environment(**(env or {})).items():
                patch.setenv(name, text)
            self._read()
            with pytest.raises(SystemExit) as ended:
                main()
        return done(int(ended.value.code or 0), *self._read(), json_lines=json_lines)

    def files(self) -> dict[str, bytes]:
        return files_below(self.home)

    def path(self, name: str = NAME) -> Path:
        return self.home / name


def done(code: int, out: str, err: str, *, json_lines: bool = True) -> Done:
    return Done(code, [json.loads(line) for line in out.splitlines()] if json_lines else [], out, err)


def entry(
    *urls: str, data: bytes | None = None, options: tuple[str, ...] = (), name: str = "m.safetensors"
) -> str:
    """Lines of a manifest; with `data`, its checksum."""
    lines = ["\t".join(urls), "  dir=checkpoints", f"  out={name}", *(f"  {option}" for option in options)]
    if data is not None:
        lines.append(f"  checksum=sha-256={sha256(data)}")
    return "\n".join(lines) + "\n"


def check_home(stage: Stage, right: Mapping[str, bytes]) -> None:
    """Files are right or not there; beside them lies only what a next run can use or a person may look at."""
    for path, data in stage.files().items():
        if path in right:
            assert data == right[path], f"{path} has other bytes"
        elif not path.startswith(OWN) and not ASIDE.fullmatch(path):
            partial = PARTIAL.fullmatch(path)
            assert partial, f"{path} was left behind"
            place = path.rpartition("/")[0]
            assert f"{place}/{partial['name']}" not in stage.files(), f"{path} is left of a file in place"
    if stage.root.joinpath("home", NAME).exists():
        assert NAME in right


def nobody(request: Request) -> bool:
    """Who may see the secret, where nobody may."""
    return False


def check_secrets(stage: Stage, finished: Done, allowed: Callable[[Request], bool] = nobody) -> None:
    """The secret was sent where it may go, and is in no word and no file."""
    assert SECRET not in finished.out
    assert SECRET not in finished.err
    for path in stage.root.rglob("*"):
        if path.is_file() and path.name not in ("list.txt", "comfykit.toml"):
            assert SECRET.encode() not in path.read_bytes(), f"{path} holds the secret"
    for request in stage.capture.requests:
        if not allowed(request):
            assert SECRET not in request.target
            assert SECRET not in "".join(request.headers.values())


@contextmanager
def set_up(
    root: Path, backend: str, monkeypatch: pytest.MonkeyPatch, read: Callable[[], tuple[str, str]]
) -> Iterator[Stage]:
    stage = Stage(root, backend, monkeypatch, read)
    try:
        yield stage
    finally:
        stage.close()
