"""What decides where a file is asked for: rules, tokens and history, read once for a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from comfykit.fetch import hubs
from comfykit.fetch.entry import ManifestEntry
from comfykit.fetch.history import History, open_history
from comfykit.fetch.hubs import Ask
from comfykit.fetch.mirror_rules import Mirror, read_rules
from comfykit.fetch.mirrors import sources_for
from comfykit.fetch.secret_files import with_secret_files
from comfykit.fetch.source import Expected, Source
from comfykit.fetch.tokens import Tokens, read_tokens
from comfykit.fetch.urls import host
from comfykit.settings import Settings


@dataclass(frozen=True, slots=True)
class Guide:
    """Where files are asked for; without arguments, at their own addresses alone."""

    rules: tuple[Mirror, ...] = ()
    tokens: Tokens = field(default_factory=Tokens)
    history: History = field(default_factory=History)

    def sources(self, entry: ManifestEntry) -> list[Source]:
        """Every source of an entry, the most promising first."""
        return sources_for(entry, self.rules, self.tokens, self.history)


def open_guide(settings: Settings, environment: Mapping[str, str]) -> Guide:
    """The guide of a run; raises `UsageError` for rules and tokens that cannot be used."""
    environment = with_secret_files(environment)
    return Guide(
        rules=read_rules(environment, settings.mirrors),
        tokens=read_tokens(environment, settings.tokens),
        history=open_history(environment),
    )


def needs_asking(entry: ManifestEntry) -> bool:
    """Whether a hub's interface may know something of an entry that the manifest does not say."""
    return any(not hubs.is_pinned(url) for url in entry.urls) or (
        entry.sha256 is None and any(hubs.can_announce(url) for url in entry.urls)
    )


def informed(entry: ManifestEntry, ask: Ask) -> tuple[ManifestEntry, Expected]:
    """The entry with every model's version settled, and what its bytes must be as far as anybody says.

    The manifest's word counts before that of a hub. Raises `TransferError` where a version is not to be
    found out; an interface that does not answer otherwise stops nothing.
    """
    entry = replace(entry, urls=tuple(hubs.pinned(url, ask) for url in entry.urls))
    if entry.sha256 is not None:
        return entry, Expected(entry.size, entry.sha256, entry.place)
    for url in entry.urls:
        found = hubs.announced(url, ask)
        if found is not None and found.sha256 is not None:
            return entry, Expected(entry.size or found.size, found.sha256, host(url))
    return entry, Expected(entry.size, None, entry.place if entry.size else "")


def named(url: str, ask: Ask) -> tuple[str, str | None]:
    """An address with its model's version settled, and the file name that it or its hub gives.

    The name is a stranger's: `comfykit.fetch.paths` decides whether it can be used.
    """
    url = hubs.pinned(url, ask)
    name = hubs.file_name(url)
    if name is None:
        found = hubs.announced(url, ask)
        name = found.name if found else None
    return url, name
