"""Well-known packs by the names of their classes, for workflows that name a class nobody here has."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_TABLE = Path(__file__).parents[1] / "assets" / "known_packs.json"


def known_pack(class_name: str) -> str | None:
    """`owner/repo` of the pack that has a class of that name, None where none is known."""
    table = _table()
    exact = table["classes"].get(class_name)
    if exact is not None:
        return str(exact)
    return next((pack for pattern, pack in table["patterns"] if pattern.fullmatch(class_name)), None)


@functools.cache
def _table() -> Mapping[str, Any]:
    """`classes` maps names to packs; `patterns` are regular expressions over whole names, in order."""
    packs = json.loads(_TABLE.read_text(encoding="utf-8"))["packs"]
    return {
        "classes": {name: pack for pack, entry in packs.items() for name in entry.get("classes", ())},
        "patterns": [
            (re.compile(pattern), pack)
            for pack, entry in packs.items()
            for pattern in entry.get("patterns", ())
        ],
    }
