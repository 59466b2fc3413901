"""The interpreter and its C library are ones that torch has wheels for."""

from __future__ import annotations

from collections.abc import Iterator

from comfykit.doctor.catalogue import finding, fine
from comfykit.doctor.compat import tables
from comfykit.doctor.facts import Facts
from comfykit.doctor.interface import Finding
from comfykit.doctor.requirements import PYTHON, TORCH
from comfykit.doctor.versions import at_least, release, within
from comfykit.doctor.wheels import is_intel_mac


def check(facts: Facts) -> Iterator[Finding]:
    """Judge the interpreter."""
    python = facts.python
    if facts.system.os == "linux" and facts.system.libc == "musl":
        yield finding("CK104", "this system has musl instead of glibc: there are no wheels of torch for it")
    if is_intel_mac(facts):
        yield finding(
            "CK105", f"this is a Mac with an Intel processor: its wheels of torch end before {TORCH}"
        )
    if python is None:
        return
    said = f"{python.version} ({python.executable})" if python.executable else python.version
    newest = [row for row in tables().torch if at_least(row.version, TORCH)]
    if not at_least(python.version, PYTHON):
        yield finding("CK101", f"{said} is too old: comfykit needs {PYTHON}")
    elif not any(within(python.version, row.python) for row in newest):
        if release(python.version) > release(newest[-1].python.partition("-")[2]):
            yield finding("CK102", f"{said} is newer than any that torch has wheels for")
    elif python.managed and not python.virtual:
        yield finding("CK103", f"{said} belongs to the system and is no virtual environment")
    else:
        yield fine("python", said)
