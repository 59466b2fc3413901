"""Writing the lock of a home as it is, also of one that comfykit did not make."""

from __future__ import annotations

from comfykit.fetch.index import open_index
from comfykit.packs.environment import look
from comfykit.packs.installed import list_packs
from comfykit.packs.lock import Lock, lock_path, read_lock, render_lock
from comfykit.services.models import list_models
from comfykit.services.pack_changes import Workbench
from comfykit.services.pack_hashes import with_hashes
from comfykit.services.pack_lock import lock_of


def write_lock(work: Workbench) -> Lock:
    """Write down packs, packages and models; models whose hash nobody knows are read."""
    index = open_index(work.home)
    for model in list_models(work.home, index):
        if model.target is not None and not model.packaged:
            index.sha256(model.path)
    index.save()
    lock = lock_of(
        work.home,
        list_packs(work.home),
        look(work.environment),
        work.wanted(()),
        hashes={},
        index=index,
        before=read_lock(work.home),
    )
    lock = with_hashes(lock, work.environment)
    work.transaction.write(lock_path(work.home), render_lock(lock))
    work.keep()
    return lock
