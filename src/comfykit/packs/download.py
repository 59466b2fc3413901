"""Bringing a zip: by comfykit's own transfers, from its address or a mirror."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from comfykit.errors import FetchError, PackError
from comfykit.events import Event, Reporter, TransferAdvanced, TransferEnded, TransferStarted
from comfykit.fetch.backend import Job
from comfykit.fetch.entry import ManifestEntry
from comfykit.fetch.guide import Guide, open_guide
from comfykit.fetch.limits import Limits
from comfykit.fetch.partial import claim
from comfykit.fetch.retry import Cause, cause_of
from comfykit.fetch.source import Expected
from comfykit.packs.archive import check_size
from comfykit.packs.limits import USUAL, PackLimits
from comfykit.packs.repository import insecure
from comfykit.packs.tree import file_hash
from comfykit.settings import Settings


@dataclass(frozen=True, slots=True)
class Downloads:
    """What all archives of a run share."""

    settings: Settings
    guide: Guide
    reporter: Reporter
    cancel: threading.Event = field(default_factory=threading.Event)
    limits: PackLimits = USUAL


def open_downloads(
    settings: Settings, environment: Mapping[str, str], reporter: Reporter, cancel: threading.Event | None
) -> Downloads:
    """The downloads of a run; raises `UsageError` for mirrors and tokens that cannot be used."""
    guide = open_guide(settings, environment)
    return Downloads(settings, guide, reporter, cancel or threading.Event())


def fetch_archive(url: str, sha256: str | None, name: str, place: Path, downloads: Downloads) -> str:
    """Bring the zip of the pack `name` to `place`; the sha-256 of its bytes.

    Raises `PackError` when nobody gives it, or gives other bytes than `sha256` says.
    """
    title = f"{name}.zip"
    # The guide takes entries of manifests.
    entry = ManifestEntry((url,), PurePosixPath("custom_nodes", title), "the address", 0, sha256)
    job = Job(title, tuple(downloads.guide.sources(entry)), Expected(None, sha256, "the address"))
    for source in job.sources:
        warning = insecure(source.url)
        if warning is not None:
            downloads.reporter(warning)
    try:
        size, found = _receive(job, place, downloads)
        if sha256 is not None and found != sha256:
            place.unlink()
            raise PackError(
                f"what came for {name} has sha-256 {found}, and {sha256} was wanted",
                hint="look at the checksum; if it is right, somebody has changed the archive",
            )
    except FetchError as error:
        failure = _explain(error, name)
        downloads.reporter(TransferEnded(title, 0, str(failure)))
        raise failure from error
    except PackError as error:
        downloads.reporter(TransferEnded(title, 0, str(error)))
        raise
    finally:
        downloads.guide.history.save()
    downloads.reporter(TransferEnded(title, size))
    return found


def _receive(job: Job, place: Path, downloads: Downloads) -> tuple[int, str]:
    """Size and hash of what came."""
    from comfykit.fetch.engine import Engine  # brings TLS along

    def report(event: Event) -> None:
        if isinstance(event, TransferStarted):
            check_size(event.total or 0, job.name, downloads.limits)
        elif isinstance(event, TransferAdvanced):
            check_size(event.done, job.name, downloads.limits)
        downloads.reporter(event)

    limits = Limits(connections=downloads.settings.connections, max_rate=downloads.settings.max_speed)
    with (
        closing(Engine(limits, downloads.guide.history)) as engine,
        claim(place, downloads.cancel, lambda: None) as partial,
    ):
        received = engine.receive(job, partial, downloads.cancel, report)
        partial.publish()
    return received.size, received.sha256 or file_hash(place)


def _explain(error: FetchError, name: str) -> PackError:
    """A fetch error as one about a pack, with a hint that fits."""
    hint = error.hint
    if cause_of(error) in (Cause.MISSING, Cause.REFUSED):
        hint = (
            "look at the address; a private one needs a token of its host in comfykit.toml (docs/tokens.md)"
        )
    elif cause_of(error) in (Cause.UNREACHABLE, Cause.STALLED, Cause.BROKEN):
        hint = "name a mirror (docs/mirrors.md), or fetch the zip elsewhere and give its path"
    return PackError(f"{name}: {error}", hint=hint)
