"""Imports one pack and says as JSON what came of it: `python -m comfykit.compat.probe PACK [--home HOME]`.

Run in a process of its own, because a pack may hang, crash or end the process. The last line of standard
output is the answer; whatever the pack prints goes to standard error. `failure` is null where the pack was
imported; `missing` names what it used of ComfyUI's interface that is not here, `lacks` what its source
names beyond that; `named` and `broken` what `scan` found.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import json
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from comfykit.compat import guard, modules, torchvision_ops
from comfykit.compat.causes import Cause
from comfykit.compat.loader import load_pack
from comfykit.packs.places import Place
from comfykit.packs.scan import scan
from comfykit.settings import resolve


def probe(pack: Path, home: str | None, *, script: bool = False, thorough: bool = False) -> dict[str, Any]:
    """What importing a pack tells."""
    settings = resolve({"home": home})
    name = pack.name.removesuffix(".py")
    loaded = load_pack(Place(name, pack), settings, script=script)
    read = scan(pack) if thorough else None
    return {
        "pack": name,
        "classes": [entry.name for entry in loaded.classes],
        "problems": {name: cause.message for name, cause in loaded.problems.items()},
        "hints": sorted({cause.hint for cause in loaded.problems.values() if cause.hint}),
        "failure": None if loaded.failure is None else _described(loaded.failure),
        "missing": sorted({found.name for found in modules.missing}),
        "lacks": _lacks(read.host) if read else [],
        **({"named": read.classes, "broken": read.broken} if read else {}),
        "blocked": [command for _, command in guard.blocked],
        "warnings": [warned.message for warned in torchvision_ops.take_warnings()],
        "web": None if loaded.web is None else str(loaded.web),
        "seconds": round(loaded.seconds, 3),
    }


def _described(cause: Cause) -> dict[str, Any]:
    return {
        "cause": f"{cause.message} ({cause.place})" if cause.place else cause.message,
        "kind": cause.kind,
        "subject": cause.subject,
        "hint": cause.hint,
        "place": cause.place,
        "traceback": cause.traceback,
    }


def _lacks(names: Iterable[str]) -> list[str]:
    """Those of ComfyUI's names that are not here."""
    found = [name for name in names if not _is_there(name.split("."))]
    return [name for name in found if not any(name.startswith(f"{shorter}.") for shorter in found)]


def _is_there(parts: Sequence[str]) -> bool:
    try:
        value: Any = importlib.import_module(parts[0])
        for part in parts[1:]:
            value = getattr(value, part)
    except Exception:  # noqa: BLE001  (whatever a look at a module raises, the name is not to be had)
        return False
    return True


def _main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description="Import a pack and say what came of it.")
    parser.add_argument("pack", type=Path)
    parser.add_argument("--home", default=os.environ.get("COMFYKIT_HOME"))
    parser.add_argument("--run-scripts", action="store_true", help="run its prestartup_script.py first")
    parser.add_argument("--thorough", action="store_true", help="also look for every name its source has")
    given = parser.parse_args(arguments)
    with contextlib.redirect_stdout(sys.stderr):
        told = probe(given.pack.absolute(), given.home, script=given.run_scripts, thorough=given.thorough)
    sys.stdout.write(f"{json.dumps(told)}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    _main(sys.argv[1:])
