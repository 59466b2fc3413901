"""What packs may not do in this process: install Python packages.

Many packs call pip when they are imported, or in a node's first run, to bring what they lack. That would
change torch or numpy under every other pack. An audit hook, which sees every process that is started,
refuses such commands where a pack's code asks for them, and keeps which it were, so that a report can name
them. Whoever asked gets an error of the kind that a failed command gives.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from comfykit.compat.modules import pack_at_work

_INSTALLERS = re.compile(
    r"(?:^|[\s/\\\"'])(?:pip[\d.]*|uv|conda|mamba|poetry)(?:\.exe)?[\"']?\s.*\b(?:install|uninstall|add|sync)\b"
    r"|\b(?:ensurepip|easy_install)\b",
    re.DOTALL,
)
_ARGUMENTS = {"subprocess.Popen": 1, "os.system": 0, "os.posix_spawn": 1, "os.exec": 1, "os.spawn": 2}
_PIP = ("pip._internal.cli.main", "pip._internal.main")

blocked: list[tuple[str, str]] = []  # (pack, command)
_installed: list[bool] = []


class InstallBlocked(subprocess.CalledProcessError):
    """A pack tried to install Python packages."""

    def __init__(self, pack: str, command: str) -> None:
        super().__init__(1, command)
        self.pack = pack

    def __str__(self) -> str:
        return (
            f"{self.pack} may not run {self.cmd!r}: packages are installed by `comfykit install-nodes` only"
        )


def install() -> None:
    """Watch from now on; it cannot be undone, and concerns the code of packs alone."""
    if not _installed:
        _installed.append(True)
        sys.addaudithook(_watch)


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "import":
        if arguments[0] in _PIP:
            _refuse("pip")
    elif (place := _ARGUMENTS.get(event)) is not None:
        command = _text(arguments[place])
        if _INSTALLERS.search(command):
            _refuse(command)


def _refuse(command: str) -> None:
    pack = pack_at_work(sys._getframe(2))
    if pack:
        blocked.append((pack, command))
        raise InstallBlocked(pack, command)


def _text(command: Any) -> str:
    if isinstance(command, bytes):
        return command.decode("utf-8", "replace")
    if isinstance(command, Sequence) and not isinstance(command, str):
        return " ".join(_text(part) for part in command)
    return str(command)
