"""Which packs of a home do not import: as it was the last time, or by importing each anew."""

from __future__ import annotations

import time

from comfykit.doctor.facts import Pack
from comfykit.home import Home
from comfykit.packs.index import class_index
from comfykit.packs.installed import list_packs
from comfykit.packs.layout import packs_folder
from comfykit.packs.probing import probe_pack

# What takes longer than this would keep a run waiting, too.
SECONDS = 120.0
_LEAST_SECONDS = 5.0


def failing_packs(home: Home, *, anew: bool, seconds: float) -> tuple[Pack, ...]:
    """The packs that do not import.

    With `anew` each is imported in a process of its own, as long as `seconds` last. Without it, what is known
    from the last time counts, as long as neither the pack nor the Python packages have changed since; where
    nobody has imported a pack since it came, its installation says it.
    """
    if not packs_folder(home).is_dir():
        return ()
    return _imported(home, seconds) if anew else _remembered(home)


def _imported(home: Home, seconds: float) -> tuple[Pack, ...]:
    end = time.monotonic() + seconds
    failing = []
    for pack in list_packs(home):
        left = end - time.monotonic()
        if not pack.enabled or left < _LEAST_SECONDS:
            continue
        scripts = pack.record is not None and pack.record.scripts
        limit = min(SECONDS, left)
        result = probe_pack(pack.path, home.root, seconds=limit, run_scripts=scripts)
        ran_out = time.monotonic() >= end and limit < SECONDS  # nobody knows what would have come of it
        if result.cause is not None and not ran_out:
            failing.append(Pack(pack.name, result.cause, result.hint or _more(pack.name)))
    return tuple(failing)


def _remembered(home: Home) -> tuple[Pack, ...]:
    entries = class_index(home).entries
    failing = []
    for pack in list_packs(home):
        entry = entries.get(pack.name.removesuffix(".py"))
        if not pack.enabled:
            continue
        if entry is not None and entry.is_current:
            cause, hint = entry.failure, entry.hint
        elif (entry is None or not entry.probed) and pack.record is not None:
            cause, hint = pack.record.imports or None, None
        else:
            continue
        if cause is not None:
            failing.append(Pack(pack.name, cause, hint or _more(pack.name)))
    return tuple(failing)


def _more(name: str) -> str:
    return f"comfykit packs check {name} says more"
