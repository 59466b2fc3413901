"""Where the files of a home came from: what `comfykit models export` writes into a manifest.

Kept in the home's `.comfykit/sources.json`, by the path below `models/`. Addresses are kept without
the values of their queries that may be secrets, headers only by their names.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import PurePosixPath
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from comfykit.fetch.entry import ManifestEntry
from comfykit.fetch.state_file import changing, read_state, state_path
from comfykit.fetch.urls import redact
from comfykit.home import Home

NAME = "sources.json"


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a file came from; `needs` names the headers that were sent, without their values.

    It holds for the bytes of `sha256` (or, where no hash is known, for a file of `size` bytes).
    """

    urls: tuple[str, ...]
    size: int
    sha256: str | None = None
    needs: tuple[str, ...] = ()
    fetched: str = ""

    def fits(self, size: int, sha256: str | None) -> bool:
        """Whether it is about a file of this size and hash, and not about one that lay there before."""
        if self.sha256 and sha256:
            return self.sha256 == sha256
        return self.size == size


def record_provenance(home: Home, fetched: Mapping[PurePosixPath, Provenance]) -> None:
    """Keep where files came from, by their path below `models/`; a home that takes nothing keeps nothing."""
    if not fetched:
        return
    with suppress(OSError), changing(state_path(home, NAME)) as entries:
        for target, kept in fetched.items():
            entries[str(target)] = {
                "urls": list(kept.urls),
                "size": kept.size,
                "sha256": kept.sha256,
                "needs": list(kept.needs),
                "fetched": kept.fetched,
            }


def provenances(home: Home) -> dict[str, Provenance]:
    """Where files came from, by their path below `models/`; entries that make no sense are left out."""
    found: dict[str, Provenance] = {}
    for target, entry in read_state(state_path(home, NAME)).items():
        urls, size, sha256 = entry.get("urls"), entry.get("size"), entry.get("sha256")
        needs = entry.get("needs") or []
        if (
            isinstance(urls, list)
            and isinstance(size, int)
            and isinstance(needs, list)
            and isinstance(sha256, str | None)
            and all(isinstance(text, str) for text in (*urls, *needs))
        ):
            found[target] = Provenance(
                tuple(urls), size, sha256, tuple(needs), str(entry.get("fetched") or "")
            )
    return found


def forget_provenance(home: Home, *, targets: set[str]) -> None:
    """Drop what is known of files that were removed."""
    path = state_path(home, NAME)
    if path.is_file():
        with suppress(OSError), changing(path) as entries:
            for target in targets & set(entries):
                del entries[target]


def provenance_of(entry: ManifestEntry, size: int, sha256: str | None) -> Provenance:
    """What is kept of an entry whose file was fetched."""
    return Provenance(
        tuple(dict.fromkeys(without_secrets(url) for url in entry.urls)),
        size,
        sha256,
        tuple(dict.fromkeys(name for name, _ in entry.headers)),
        datetime.now(UTC).isoformat(timespec="seconds"),
    )


def without_secrets(url: str) -> str:
    """An address without the parts of its query that may be secrets; what is left can be asked for."""
    parts = urlsplit(redact(url))
    query = [pair for pair in parse_qsl(parts.query, keep_blank_values=True) if pair[1] != "***"]
    return urlunsplit((parts.scheme, parts.netloc, parts.path, urlencode(query, safe="*/"), ""))
