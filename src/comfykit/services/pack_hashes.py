"""Hashes of packages that were installed before anybody wrote them down."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from comfykit.errors import PackError
from comfykit.packs.environment import Environment
from comfykit.packs.lock import Lock
from comfykit.packs.uv_tool import Sources, run_uv
from comfykit.services.pack_lock import hashes_of, pin_of


def with_hashes(lock: Lock, environment: Environment) -> Lock:
    """The lock with the hashes that package indexes say; those that they do not know stay away."""
    unknown = [one for one in lock.packages if not one.hashes and "/" not in one.version]
    if not unknown:
        return lock
    found = _looked_up([pin_of(package) for package in unknown], environment, Sources(indexes=lock.indexes))
    return replace(
        lock,
        packages=tuple(
            replace(package, hashes=package.hashes or found.get(package.name, ()))
            for package in lock.packages
        ),
    )


def _looked_up(
    pins: Sequence[str], environment: Environment, sources: Sources
) -> Mapping[str, tuple[str, ...]]:
    with tempfile.TemporaryDirectory(prefix="comfykit-hashes-") as folder:
        listed = Path(folder) / "pins.txt"
        listed.write_text("".join(f"{pin}\n" for pin in pins), encoding="utf-8")
        form = ["--generate-hashes", "--no-deps", "--no-header", "--no-annotate", "--prerelease=allow"]
        try:
            ended = run_uv(("compile",), environment, sources, [listed, *form])
        except PackError:
            return {}
    return hashes_of(ended.stdout.replace("\\\n", " ").splitlines()) if ended.code == 0 else {}
