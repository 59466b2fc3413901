"""The home can be written, and models fit on its disk."""

from __future__ import annotations

from collections.abc import Iterator

from comfykit.doctor.facts import Facts
from comfykit.doctor.interface import Finding, Status
from comfykit.doctor.sources.storage import Storage
from comfykit.doctor.units import GIB, size

# The models of one workflow are 2 GiB (SD 1.5) to 20 GiB (SDXL with its helpers).
COMFORTABLE = 20 * GIB
LEAST = 1 * GIB


def check(facts: Facts) -> Iterator[Finding]:
    """Judge the home's folder and its disk."""
    yield _writable(facts.storage)
    yield _space(facts.storage)


def _writable(storage: Storage) -> Finding:
    if storage.error is not None:
        wanted = "nothing can be written" if storage.exists else f"{storage.home} cannot be made"
        return Finding(
            "home",
            Status.FAILURE,
            f"{wanted}: {storage.error}",
            "make it writable, or choose another folder with --home or COMFYKIT_HOME",
        )
    if not storage.exists:
        return Finding(
            "home", Status.OK, f"{storage.home} does not exist yet; comfykit install-models will make it"
        )
    return Finding("home", Status.OK, f"{storage.home}")


def _space(storage: Storage) -> Finding:
    if storage.free is None:
        return Finding("disk", Status.WARNING, f"the disk of {storage.home} does not say how much is free")
    said = f"{size(storage.free)} free"
    if storage.free < LEAST:
        status, problem = Status.FAILURE, f"{said}: no model fits"
    elif storage.free < COMFORTABLE:
        status, problem = Status.WARNING, f"{said}: little for models"
    else:
        return Finding("disk", Status.OK, said)
    return Finding("disk", status, problem, "make room, or choose a home on another disk with --home")
