"""Files that Hugging Face's own tools have fetched already, in their cache on this machine.

Layout (documented by huggingface_hub, "Understand caching"): one folder per repository,
`models--OWNER--NAME`, with `blobs/` (files named by their ETag: the SHA-256 of large files),
`refs/REVISION` (the commit that a branch or tag was at), and `snapshots/COMMIT/PATH` (links to blobs).
The name of a blob is what the hub said; whoever takes one checks its bytes.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

_HOSTS = frozenset({"huggingface.co", "www.huggingface.co", "hf.co", "hf-mirror.com"})
_FILE = re.compile(
    r"/(?P<type>datasets/)?(?P<repo>[^/]+(?:/[^/]+)?)/(?:resolve|blob)/(?P<rev>[^/]+)/(?P<path>.+)"
)
_SHA256 = re.compile(r"[0-9a-f]{64}")
_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, slots=True)
class CachedFile:
    """A file of the cache; `sha256` is what its name says, `repo` whose file it is."""

    path: Path
    sha256: str
    repo: str


@dataclass(frozen=True, slots=True)
class HfCache:
    """The cache below a folder, which need not exist; `hosts` are those whose files it may hold."""

    folder: Path
    hosts: frozenset[str] = _HOSTS

    def by_sha256(self, sha256: str) -> CachedFile | None:
        """The blob with a hash, whatever it is called."""
        for repo in self._repositories():
            path = repo / "blobs" / sha256
            if path.is_file():
                return CachedFile(path, sha256, _repo_name(repo))
        return None

    def by_url(self, url: str) -> CachedFile | None:
        """The file that an address of the hub names, at its commit or at the last known one of its branch."""
        parts = urlsplit(url)
        match = _FILE.fullmatch(parts.path)
        if match is None or (parts.hostname or "").lower() not in self.hosts:
            return None
        kind = "datasets" if match["type"] else "models"
        repo = self.folder / f"{kind}--{match['repo'].replace('/', '--')}"
        revision, path = unquote(match["rev"]), unquote(match["path"])
        if ".." in (*revision.split("/"), *path.split("/")):
            return None
        commit = revision if _COMMIT.fullmatch(revision) else _read_ref(repo / "refs" / revision)
        if commit is None:
            return None
        blob = Path(os.path.realpath(repo / "snapshots" / commit / path))
        if not _SHA256.fullmatch(blob.name) or not blob.is_file():
            return None
        return CachedFile(blob, blob.name, _repo_name(repo))

    def _repositories(self) -> Iterator[Path]:
        try:
            yield from sorted(path for path in self.folder.iterdir() if "--" in path.name)
        except OSError:  # not there, or not ours to read
            return


def cache_from(environment: Mapping[str, str]) -> HfCache:
    """The cache where Hugging Face's tools look for it, by the variables that they read."""
    named = environment.get("HF_HUB_CACHE") or environment.get("HUGGINGFACE_HUB_CACHE")
    if named:
        folder = Path(named)
    elif environment.get("HF_HOME"):
        folder = Path(environment["HF_HOME"], "hub")
    else:
        folder = Path(environment.get("XDG_CACHE_HOME") or "~/.cache", "huggingface", "hub")
    with suppress(RuntimeError):  # no such user: then the folder is not there either
        folder = folder.expanduser()
    endpoint = urlsplit(environment.get("HF_ENDPOINT", "")).hostname
    return HfCache(folder, _HOSTS | ({endpoint} if endpoint else frozenset()))


def _read_ref(path: Path) -> str | None:
    """The commit that a branch or tag was at when it was last asked for."""
    try:
        text = path.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return None
    return text if _COMMIT.fullmatch(text) else None


def _repo_name(folder: Path) -> str:
    return folder.name.partition("--")[2].replace("--", "/")
