"""The models of a home's `comfykit.lock`, kept up with what is brought and taken away.

As `uv add` and `uv remove` do: the entries of what was named change, and no others, so that a lock keeps
models that nobody has fetched yet. A home without a lock gets none.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from comfykit.errors import PackError
from comfykit.events import Reporter, Warned, silent
from comfykit.fetch.index import open_index
from comfykit.packs.lock import Lock, LockedModel, lock_path, read_lock, render_lock
from comfykit.services.pack_changes import changing
from comfykit.services.pack_lock import locked_models
from comfykit.settings import Settings


def lock_models(
    settings: Settings,
    *,
    came: Collection[str] = (),
    gone: Collection[str] = (),
    reporter: Reporter = silent,
) -> bool:
    """Write models that came, and leave out those that are gone, by paths below `models/`.

    Returns whether the lock changed. One that cannot be read or written stays, and a warning says so: the
    models are where they belong either way.
    """
    try:
        if read_lock(settings.home) is None:
            return False
        with changing(settings, reporter=reporter) as work:
            lock = read_lock(settings.home)  # another process may have changed it meanwhile
            if lock is None:
                return False
            renewed = _renewed(lock, settings, came, gone)
            if set(renewed.models) == set(lock.models):
                return False
            work.transaction.write(lock_path(settings.home), render_lock(renewed))
            work.keep()
            return True
    except PackError as error:
        reporter(Warned(f"the lock does not say what changed: {error}", error.hint))
        return False


def _renewed(lock: Lock, settings: Settings, came: Collection[str], gone: Collection[str]) -> Lock:
    models = {model.path: model for model in lock.models if model.path not in gone}
    found = {model.path: model for model in locked_models(settings.home, open_index(settings.home))}
    models |= {path: _with_known(found[path], models.get(path)) for path in came if path in found}
    return replace(lock, models=tuple(models[path] for path in sorted(models)))


def _with_known(found: LockedModel, before: LockedModel | None) -> LockedModel:
    """An entry with what the lock knew of the same file already, such as where it can be had."""
    if before is None or before.size not in (None, found.size):
        return found
    if found.sha256 is not None and before.sha256 not in (None, found.sha256):
        return found
    return replace(found, sha256=found.sha256 or before.sha256, sources=found.sources or before.sources)
