"""What commands on models say when `comfykit.lock` follows them."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from comfykit.cli.output import Output
    from comfykit.settings import Settings


def renew_lock(
    settings: Settings, output: Output, *, came: Collection[str] = (), gone: Collection[str] = ()
) -> None:
    """Write models that came or went into the home's lock, if it has one; paths are below `models/`."""
    from comfykit.packs.lock import lock_path

    if not lock_path(settings.home).is_file():
        return
    from comfykit.cli.transfers import plain_reporter
    from comfykit.services.lock_models import lock_models

    if lock_models(settings, came=came, gone=gone, reporter=plain_reporter(output).report):
        path = lock_path(settings.home)
        output.record(event="lock", path=path)
        output.say(f"{path.name} says so too")
