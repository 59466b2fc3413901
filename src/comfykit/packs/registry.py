"""The Comfy registry: which archive belongs to an id and a version.

Its HTTP API is described at docs.comfy.org/registry/api-reference. It announces no checksums; an
archive's own is kept when it has come.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

from comfykit.errors import PackError, TransferError
from comfykit.events import Reporter, Warned
from comfykit.fetch.guide import Guide
from comfykit.fetch.hubs import Ask
from comfykit.fetch.hubs.asking import asking
from comfykit.fetch.mirrors import rewrite
from comfykit.fetch.urls import clean_url, host, is_loopback
from comfykit.packs.repository import insecure

_BANNED, _DELETED, _FLAGGED = (f"NodeVersionStatus{name}" for name in ("Banned", "Deleted", "Flagged"))
_PENDING = "NodeVersionStatusPending"
_SHOWN_VERSIONS = 5


@dataclass(frozen=True, slots=True)
class Release:
    """One version of a pack and the address of its archive."""

    id: str
    version: str
    url: str


class Registry:
    """Questions to the registry at a base address; mirrors that a person named count."""

    def __init__(self, base: str, guide: Guide, reporter: Reporter) -> None:
        try:
            self._base = clean_url(base).rstrip("/")
        except ValueError as error:
            raise PackError(f"the registry's address: {error}") from error
        self._guide, self._reporter = guide, reporter
        warning = insecure(self._base)
        if warning is not None:
            reporter(warning)

    def release(self, name: str, version: str | None) -> Release:
        """The archive of a version, or of the newest one.

        Raises `PackError` for ids and versions that are not there, that were withdrawn, or that the
        registry's own checks have flagged.
        """
        with asking(self._guide.tokens) as ask:
            query = f"?version={quote(version, safe='')}" if version else ""
            answer = self._ask(ask, f"/nodes/{quote(name, safe='')}/install{query}")
            if answer is None:
                raise self._missing(ask, name, version)
        return self._read(name, version, answer)

    def repository(self, name: str) -> str:
        """The address of a pack's repository, as its publisher wrote it."""
        with asking(self._guide.tokens) as ask:
            answer = self._ask(ask, f"/nodes/{quote(name, safe='')}")
        if answer is None:
            raise self._unknown(name)
        address = answer.get("repository")
        if not isinstance(address, str) or not address:
            raise PackError(f"the registry names no repository of {name}")
        return address

    def _ask(self, ask: Ask, path: str) -> Mapping[str, object] | None:
        answer = self._get(ask, path)
        if answer is not None and not isinstance(answer, Mapping):
            raise PackError(f"the registry at {host(self._base)} answered something that is no pack")
        return answer

    def _get(self, ask: Ask, path: str) -> object:
        """What the registry answers; None where it knows nothing of it."""
        url = rewrite(self._base + path, self._guide.rules)
        try:
            return ask(url)
        except TransferError as error:
            if error.facts.get("status") == 404:
                return None
            raise PackError(
                f"the registry cannot be asked: {error}",
                hint="give the pack's repository or zip, or another registry by COMFYKIT_REGISTRY",
            ) from error

    def _read(self, name: str, version: str | None, answer: Mapping[str, object]) -> Release:
        found, url = answer.get("version"), answer.get("downloadUrl")
        status, reason = answer.get("status"), answer.get("status_reason")
        title = f"{name}@{found or version or 'latest'}"
        why = f": {reason}" if isinstance(reason, str) and reason and reason.isprintable() else ""
        if status in (_BANNED, _DELETED):
            words = "banned" if status == _BANNED else "withdrawn"
            raise PackError(f"the registry has {words} {title}{why}", hint="take another version, or none")
        if status == _FLAGGED:
            raise PackError(
                f"the registry's own checks have flagged {title}{why}",
                hint="look at its code; if you trust it, give its repository instead",
            )
        if not isinstance(url, str) or not isinstance(found, str) or not found.isprintable():
            raise PackError(f"the registry names no archive of {title}")
        if version is not None and found != version:
            raise PackError(f"the registry answered with {title} where {name}@{version} was asked for")
        if status == _PENDING:
            self._reporter(Warned(f"the registry has not checked {title} yet"))
        if answer.get("deprecated") is True:
            self._reporter(Warned(f"{title} is deprecated by its publisher"))
        return Release(name, found, self._archive(url, title))

    def _archive(self, url: str, title: str) -> str:
        """An address that is at least as safe as the registry's own."""
        try:
            address = clean_url(url)
        except ValueError as error:
            raise PackError(f"the registry's address of {title} cannot be asked: {error}") from error
        asked = rewrite(f"{self._base}/", self._guide.rules)
        if not address.startswith("https://") and not (is_loopback(address) and is_loopback(asked)):
            raise PackError(f"the registry hands {title} out over plain http, from {host(address)}")
        return address

    def _missing(self, ask: Ask, name: str, version: str | None) -> PackError:
        if version is None:
            return self._unknown(name)
        answer = self._get(ask, f"/nodes/{quote(name, safe='')}/versions")
        entries = answer if isinstance(answer, list) else []
        words = [str(entry["version"]) for entry in entries if isinstance(entry, dict) and "version" in entry]
        if not words:
            return self._unknown(name)
        return PackError(
            f"the registry has no version {version} of {name}",
            hint=f"it has {', '.join(words[:_SHOWN_VERSIONS])}",
        )

    def _unknown(self, name: str) -> PackError:
        return PackError(
            f"the registry knows no pack {name!r}",
            hint=f"search https://registry.comfy.org; a folder here is ./{name}, a repository OWNER/REPO",
            id=name,
        )
