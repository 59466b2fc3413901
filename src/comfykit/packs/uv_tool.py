"""Runs uv: which packages it may use, what it sees of our environment, and what came of it."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from uv import find_uv_bin

from comfykit.errors import PackError
from comfykit.packs.environment import Environment
from comfykit.packs.strangers import without_secrets

SECONDS = 3600.0  # some packages are built for half an hour

# What of uv's own variables counts: where packages are, and how they are reached.
_KEPT = re.compile(
    r"UV_(INDEX(_.*)?|DEFAULT_INDEX|EXTRA_INDEX_URL|FIND_LINKS|NO_INDEX|INDEX_STRATEGY|CACHE_DIR|OFFLINE|"
    r"HTTP_.*|SYSTEM_CERTS|NATIVE_TLS|INSECURE_HOST|KEYRING_PROVIDER|CONCURRENT_.*|LINK_MODE|EXCLUDE_NEWER|"
    r"CONFIG_FILE|NO_CONFIG|REQUEST_TIMEOUT|NO_BUILD)"
)


@dataclass(frozen=True, slots=True)
class Sources:
    """Where packages may come from, besides what uv is configured with.

    `indexes` and `find_links` are those that were allowed. With `no_index` nothing else is asked, `offline`
    uses what uv has kept. `cache` is the folder of uv's cache. Without `builds` nothing is built.
    `torch_builds` is a label ("cpu", "cu126"): torch's companions then come from PyTorch's own index.
    """

    indexes: tuple[str, ...] = ()
    find_links: tuple[str, ...] = ()
    no_index: bool = False
    offline: bool = False
    cache: Path | None = None
    builds: bool = True
    torch_builds: str | None = None

    def arguments(self) -> list[str]:
        """These choices as options of uv."""
        chosen = [f"--index={index}" for index in self.indexes]
        if self.indexes and "UV_INDEX_STRATEGY" not in os.environ:
            # pip's way, which those who wrote the lines had in mind: the best version of all indexes.
            chosen.append("--index-strategy=unsafe-best-match")
        chosen += [f"--find-links={place}" for place in self.find_links]
        chosen += ["--no-index"] if self.no_index else []
        chosen += ["--offline"] if self.offline else []
        chosen += ["--no-build"] if not self.builds else []
        chosen += [f"--torch-backend={self.torch_builds}"] if self.torch_builds else []
        chosen += [f"--cache-dir={self.cache}"] if self.cache else []
        return chosen


@dataclass(frozen=True, slots=True)
class Ended:
    """How uv ended: what it wrote to both streams."""

    code: int
    stdout: str
    stderr: str


def run_uv(
    command: Sequence[str],
    environment: Environment,
    sources: Sources,
    arguments: Sequence[str | Path] = (),
    *,
    holding: int | None = None,
    seconds: float = SECONDS,
) -> Ended:
    """Run `uv pip COMMAND` in an empty folder; raises `PackError` where it cannot be run at all.

    It runs in an empty folder, since uv reads the project that it stands in. `holding` is an open lock that
    it keeps held, also where it outlives us.
    """
    with tempfile.TemporaryDirectory(prefix="comfykit-uv-") as nowhere:
        try:
            ended = subprocess.run(
                [
                    find_uv_bin(),
                    "pip",
                    *command,
                    f"--python={environment.python}",
                    "--color=never",
                    "--no-progress",
                    "--no-python-downloads",
                    *(sources.arguments() if command[0] not in ("uninstall", "check") else []),
                    *arguments,
                ],
                cwd=nowhere,
                env=_environment(),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                encoding="utf-8",
                errors="replace",
                check=False,
                timeout=seconds,
                pass_fds=() if holding is None else (holding,),
            )
        except subprocess.TimeoutExpired as error:
            raise PackError(f"uv gave no answer in {seconds:g} s") from error
        except OSError as error:
            raise PackError(f"uv cannot be run ({error})", hint="pip install --force-reinstall uv") from error
    return Ended(ended.returncode, ended.stdout, ended.stderr)


def _environment() -> dict[str, str]:
    kept = {
        name: value
        for name, value in without_secrets().items()
        if not name.startswith("UV_") and name != "PYTHONPATH"
    }
    # uv itself sees the passwords of its indexes.
    kept |= {name: value for name, value in os.environ.items() if _KEPT.fullmatch(name)}
    # git asks nobody, and fetches by no other protocol, also where a submodule or a redirect says so.
    git = {"GIT_TERMINAL_PROMPT": "0", "GIT_ALLOW_PROTOCOL": "https:http:ssh:file"}
    # What uv says is read by `conflicts`: its lines are not to be broken at a terminal's width.
    return kept | git | {"NO_COLOR": "1", "UV_NO_WRAP": "1", "COLUMNS": "10000"}
