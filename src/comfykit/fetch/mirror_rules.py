"""Rules that turn an address into one of a mirror, and where they are written.

| rules                              | asked                                                        |
|------------------------------------|--------------------------------------------------------------|
| `COMFYKIT_MIRRORS`                 | instead of the address                                       |
| `HF_ENDPOINT`, `GITHUB_ENDPOINT`   | instead of huggingface.co; of github.com                     |
| `[[mirrors]]` of `comfykit.toml`   | besides the address, or instead of it                        |
| `assets/mirrors.toml` of the package | besides it, and only for files whose checksum is known     |

What they make of an entry: `comfykit.fetch.mirrors`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from comfykit.errors import UsageError
from comfykit.fetch.urls import clean_url

VARIABLE = "COMFYKIT_MIRRORS"
PACKAGED = Path(__file__).parents[1] / "assets" / "mirrors.toml"
SETTINGS = "[[mirrors]] in comfykit.toml"

_HUGGING_FACE = "https://huggingface.co/"
_GITHUB = "https://github.com/"
_RAW = "https://raw.githubusercontent.com/"


@dataclass(frozen=True, slots=True)
class Mirror:
    """One rule: addresses that start with `start` can be had with that start replaced by `to`.

    Both end in `/`, so that `https://huggingface.co/` never fits `https://huggingface.co.example/`; a
    `start` that does not is one whole address. `instead` says that the address itself is not asked then,
    `needs_checksum` that the mirror is asked only for files whose checksum is known. `said_by` is for
    messages.
    """

    start: str
    to: str
    instead: bool = True
    needs_checksum: bool = False
    said_by: str = VARIABLE

    def apply(self, url: str) -> str | None:
        """The mirror's address for an address; None where the rule does not fit."""
        if not self.start.endswith("/"):
            return self.to if url == self.start else None
        return self.to + url[len(self.start) :] if url.startswith(self.start) else None


def read_mirrors(text: str) -> tuple[Mirror, ...]:
    """Rules of `FROM=TO ...`; raises `UsageError` for one that cannot be used."""
    rules = []
    for word in text.split():
        start, equals, to = word.partition("=")
        if not (equals and start.endswith("/") and to.endswith("/")):
            raise UsageError(
                f"{VARIABLE}: {word!r} is no rule",
                hint="a rule is FROM=TO, both ending in '/': https://huggingface.co/=https://hf-mirror.com/",
            )
        rules.append(_rule(start, to, VARIABLE))
    return tuple(rules)


def read_rules(
    environment: Mapping[str, str], in_file: Sequence[Mapping[str, object]] = ()
) -> tuple[Mirror, ...]:
    """All rules of a run in the order of the table above; `in_file` is `[[mirrors]]` of comfykit.toml.

    Raises `UsageError` that names where a rule that cannot be used stands.
    """
    return (
        *read_mirrors(environment.get(VARIABLE, "")),
        *_endpoints(environment),
        *_tables(in_file, SETTINGS),
        *packaged_rules(),
    )


@cache
def packaged_rules() -> tuple[Mirror, ...]:
    """The rules that come with comfykit."""
    document = tomllib.loads(PACKAGED.read_text(encoding="utf-8"))
    return tuple(_tables(document["mirrors"], "comfykit"))


def _endpoints(environment: Mapping[str, str]) -> list[Mirror]:
    """The variables that other tools know, as rules.

    `HF_ENDPOINT` stands for https://huggingface.co, `GITHUB_ENDPOINT` for https://github.com. Where the
    latter ends in that very address it is a proxy's prefix, which serves raw files as well.
    """
    rules = []
    hub = environment.get("HF_ENDPOINT", "").strip().rstrip("/")
    if hub and f"{hub}/" != _HUGGING_FACE:
        rules.append(_rule(_HUGGING_FACE, f"{hub}/", "HF_ENDPOINT"))
    github = environment.get("GITHUB_ENDPOINT", "").strip().rstrip("/")
    if github and f"{github}/" != _GITHUB:
        rules.append(_rule(_GITHUB, f"{github}/", "GITHUB_ENDPOINT"))
        prefix = f"{github}/".removesuffix(_GITHUB)
        if prefix != f"{github}/":
            rules.append(_rule(_RAW, prefix + _RAW, "GITHUB_ENDPOINT"))
    return rules


def _tables(tables: Sequence[Mapping[str, object]], said_by: str) -> list[Mirror]:
    """Rules of TOML tables with `from`, `to` and, if wanted, `instead` and `needs_checksum`."""
    rules = []
    for table in tables:
        start, to = table.get("from"), table.get("to")
        switches = {name: table.get(name, False) for name in ("instead", "needs_checksum")}
        unknown = sorted(set(table) - {"from", "to", *switches})
        if unknown:
            raise UsageError(
                f"{said_by}: unknown setting {unknown[0]!r}",
                hint=f"settings are from, to, {', '.join(switches)}",
            )
        if not (isinstance(start, str) and isinstance(to, str)):
            raise UsageError(f"{said_by}: a rule needs from and to, both addresses between quotes")
        if not all(isinstance(value, bool) for value in switches.values()):
            raise UsageError(f"{said_by}: instead and needs_checksum are true or false")
        if start.endswith("/") != to.endswith("/"):
            raise UsageError(
                f"{said_by}: {start!r} and {to!r} must both end in '/', or both be addresses of a file"
            )
        rules.append(
            _rule(
                start,
                to,
                said_by,
                instead=bool(switches["instead"]),
                needs_checksum=bool(switches["needs_checksum"]),
            )
        )
    return rules


def _rule(start: str, to: str, said_by: str, *, instead: bool = True, needs_checksum: bool = False) -> Mirror:
    try:
        return Mirror(clean_url(start), clean_url(to), instead, needs_checksum, said_by)
    except ValueError as error:
        raise UsageError(f"{said_by}: {error}") from error
