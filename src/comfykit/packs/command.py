"""One command of git: nothing asks, no hook or helper of a repository runs, and it ends in time."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from comfykit.errors import Interrupted, PackError
from comfykit.packs.limits import PackLimits

_POLL_SECONDS = 0.2
# Settings of the machine and of the user hold (proxies, certificates, credential helpers), but not those
# that would run something, ask somebody, or make two machines check out different bytes.
_SETTINGS = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.askPass=",
    "core.attributesFile=/dev/null",
    "core.autocrlf=false",
    "core.protectHFS=true",
    "core.protectNTFS=true",
    "credential.interactive=false",
    "filter.lfs.smudge=",
    "filter.lfs.process=",
    "filter.lfs.required=false",
    "fetch.recurseSubmodules=false",
    "submodule.recurse=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "advice.detachedHead=false",
    "http.lowSpeedLimit=1000",
)
_UNPRINTABLE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[^\x20-\x7e\xa0-\uffff]")


class GitFailed(PackError):
    """A command of git ended with an error; `facts["stderr"]` has what it said, made printable."""

    code = "git"


def check_git() -> None:
    """Raise `PackError` where git is not installed."""
    if shutil.which("git") is None:
        raise PackError(
            "git is not installed, and packs in repositories are fetched with it",
            hint="install git, or give the address of the pack's zip: "
            "https://github.com/OWNER/REPO/archive/refs/heads/main.zip",
        )


def run_git(
    arguments: Sequence[str],
    folder: Path,
    limits: PackLimits,
    *,
    protocols: str = "",
    cancel: threading.Event | None = None,
    watch: Callable[[], None] | None = None,
) -> str:
    """What a command of git in the repository `folder` prints.

    `protocols` are those that it may speak, with ':' between them; without them none. `watch` is called
    a few times a second while it runs and ends it by raising. Raises `GitFailed` when git fails, `PackError`
    when it takes too long, and `Interrupted` when `cancel` is set.
    """
    from git.cmd import Git  # looks for git when it is imported

    settings = [*_SETTINGS, f"http.lowSpeedTime={limits.silence_seconds}"]
    command = ["git", *(word for setting in settings for word in ("-c", setting)), *arguments]
    process: Any = Git(folder).execute(
        command, as_process=True, env=_environment(folder, protocols), start_new_session=True
    )
    deadline = time.monotonic() + limits.git_seconds
    try:
        while True:
            try:
                out, err = process.communicate(timeout=_POLL_SECONDS)
                break
            except subprocess.TimeoutExpired:
                _check(arguments[0], deadline, limits, cancel, watch)
    finally:
        _end(process)
    if process.returncode != 0:
        said = _printable(err)
        raise GitFailed(_last_line(said) or f"git {arguments[0]} failed", stderr=said)
    return str(out.decode("utf-8", "surrogateescape"))


def _check(
    name: str,
    deadline: float,
    limits: PackLimits,
    cancel: threading.Event | None,
    watch: Callable[[], None] | None,
) -> None:
    if cancel is not None and cancel.is_set():
        raise Interrupted("interrupted")
    if watch is not None:
        watch()
    if time.monotonic() > deadline:
        raise PackError(
            f"git {name} did not end within {limits.git_seconds:g} s",
            hint="try again, name a mirror (docs/mirrors.md), or give the pack's zip",
        )


def _end(process: Any) -> None:
    """End git with everything that it started."""
    if process.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def _environment(folder: Path, protocols: str) -> dict[str, str]:
    """Variables of git; those that name another repository, as a hook has them, are set to this one."""
    found = {
        "GIT_DIR": str(folder / ".git"),
        "GIT_WORK_TREE": str(folder),
        "GIT_INDEX_FILE": str(folder / ".git" / "index"),
        "GIT_OBJECT_DIRECTORY": str(folder / ".git" / "objects"),
        "GIT_ALTERNATE_OBJECT_DIRECTORIES": "",
        "GIT_NAMESPACE": "",
        "GIT_CONFIG_COUNT": "0",
        "GIT_ALLOW_PROTOCOL": protocols or "none",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": "",
        "SSH_ASKPASS": "",
        "GIT_LFS_SKIP_SMUDGE": "1",
        "GCM_INTERACTIVE": "never",
    }
    if "GIT_SSH_COMMAND" not in os.environ and "GIT_SSH" not in os.environ:
        found["GIT_SSH_COMMAND"] = "ssh -oBatchMode=yes"
    return found


def _printable(data: bytes) -> str:
    """What git and the server said, without what a terminal would obey."""
    lines = data.decode("utf-8", "replace").replace("\r", "\n").splitlines()
    return "\n".join(line for line in (_UNPRINTABLE.sub("", line).strip() for line in lines) if line)


def _last_line(said: str) -> str:
    lines = [
        line for line in said.splitlines() if line.startswith(("fatal: ", "error: "))
    ] or said.splitlines()
    return re.sub(r"^(?:fatal|error): ", "", lines[0])[:300] if lines else ""
