"""Facts as a file that another machine can judge, without what would tell whose machine it is."""

from __future__ import annotations

import getpass
import json
import re
import socket
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from comfykit.doctor.facts import Facts, Needs, complete
from comfykit.doctor.schema import from_plain, to_plain
from comfykit.doctor.sources.models import Models
from comfykit.doctor.sources.storage import Storage
from comfykit.errors import UsageError

# Not facts: where a report comes from, and what is expected of it.
ABOUT = "report"

_TOKEN = re.compile(r"\b(hf_\w{8,}|gh[pousr]_\w{8,}|sk-\w{8,})|(?<=://)[^/@\s]+@|(?<=token=)[^&\s]+")
_ADDRESS = re.compile(r"\b[\w.+-]+@[\w-]+\.\w+|\b\d{1,3}(\.\d{1,3}){3}\b(?=:|\s|$)")
_PLACE = re.compile(
    r"(?:(?<![\w:/.])[A-Za-z]:[\\/]|(?<![\w/.])~?/|\\\\)[^\s'\",:;()\[\]]*[\\/][^\s'\",:;()\[\]]+"
)


def export(facts: Facts) -> str:
    """The facts as JSON, without names, tokens and paths of the user."""
    return json.dumps(_scrub(to_plain(_anonymous(facts)), _names()), indent=2, sort_keys=True) + "\n"


def read(path: Path) -> Facts:
    """Facts from a file; raises `UsageError` where it cannot be read."""
    try:
        text = path.read_text(encoding="utf-8")
        raw = tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(
            f"{path}: {error}", hint="comfykit doctor --export FILE writes such files"
        ) from error
    if not isinstance(raw, Mapping):
        raise UsageError(f"{path}: a table of facts was expected")
    given = {name: value for name, value in raw.items() if name != ABOUT}
    return complete(replace(from_plain(Facts, given, str(path)), ours=False))


def _anonymous(facts: Facts) -> Facts:
    """Without the names of files and folders, which are kept apart by numbers."""
    python = replace(facts.python, executable=None) if facts.python else None
    storage = facts.storage
    if storage is not None:
        home = Path("home")
        storage = replace(
            storage, home=home, folder=home if storage.exists else Path(), error=storage.error and "no access"
        )
    return replace(
        facts,
        python=python,
        storage=storage,
        installation=replace(facts.installation, folder=None),
        models=_numbered(facts.models, facts.storage),
        needs=_unnamed(facts.needs),
    )


def _unnamed(needs: Needs | None) -> Needs | None:
    """Without the names of a workflow and of its models."""
    if needs is None:
        return None
    models = tuple(f"{at}{Path(name).suffix}" for at, name in enumerate(needs.models, 1))
    return replace(needs, name="the workflow", models=models)


def _numbered(models: Models | None, storage: Storage | None) -> Models | None:
    if models is None:
        return None
    numbers: dict[Path, Path] = {}

    def number(path: Path) -> Path:
        kind = path.parent.name if storage and path.is_relative_to(storage.home) else "models"
        return numbers.setdefault(path, Path(kind) / f"{len(numbers) + 1}{path.suffix}")

    return replace(
        models,
        broken=tuple(replace(entry, path=number(entry.path)) for entry in models.broken),
        misplaced=tuple(replace(entry, path=number(entry.path)) for entry in models.misplaced),
        leftovers=tuple(replace(entry, path=number(entry.path)) for entry in models.leftovers),
        pickles=tuple(map(number, models.pickles)),
        duplicates=tuple(tuple(map(number, paths)) for paths in models.duplicates),
    )


def _names() -> re.Pattern[str] | None:
    """What this user and this machine are called, where that is no common word."""
    try:
        names = {getpass.getuser(), socket.gethostname(), Path.home().name}
    except (OSError, KeyError, RuntimeError):
        names = {socket.gethostname()}
    telling = sorted(
        (name for name in names if len(name) > 2 and name not in ("root", "user", "localhost")), key=len
    )
    return re.compile(r"\b(" + "|".join(map(re.escape, reversed(telling))) + r")\b") if telling else None


def _scrub(value: Any, names: re.Pattern[str] | None) -> Any:
    if isinstance(value, dict):
        return {key: _scrub(entry, names) for key, entry in value.items()}
    if isinstance(value, list):
        return [_scrub(entry, names) for entry in value]
    if not isinstance(value, str):
        return value
    value = _ADDRESS.sub("<address>", _PLACE.sub("<path>", _TOKEN.sub("<secret>", value)))
    return names.sub("<name>", value) if names else value
