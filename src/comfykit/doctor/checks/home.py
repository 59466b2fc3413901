"""The home can be written, models fit on its disk, and the disks are attached as they should be."""

from __future__ import annotations

from collections.abc import Iterator

from comfykit.doctor.catalogue import finding, fine
from comfykit.doctor.facts import Facts
from comfykit.doctor.interface import Finding, Status
from comfykit.doctor.sources.storage import Disk, Storage
from comfykit.doctor.units import GIB, size

# The models of one workflow are 2 GiB (SD 1.5) to 20 GiB (SDXL with its helpers).
COMFORTABLE = 20 * GIB
LEAST = 1 * GIB
INODES = 1000
SLOW = ("nfs", "cifs", "smb", "9p", "drvfs", "fuse.sshfs", "fuse.rclone", "fuse.gcsfuse", "fuse.s3fs", "v9fs")


def check(facts: Facts) -> Iterator[Finding]:
    """Judge the home's folder and its disks."""
    if facts.storage is None:
        return
    yield _writable(facts.storage)
    if facts.storage.free is not None or not facts.storage.disks:
        yield _space(facts.storage)
    for disk in facts.storage.disks:
        yield from _disk(disk)


def _writable(storage: Storage) -> Finding:
    if storage.error is not None:
        wanted = "nothing can be written" if storage.exists else f"{storage.home} cannot be made"
        return finding("CK603", f"{wanted}: {storage.error}")
    if not storage.exists:
        return fine("home", f"{storage.home} does not exist yet; comfykit install-models will make it")
    return fine("home", f"{storage.home}")


def _space(storage: Storage) -> Finding:
    if storage.free is None:
        return fine("disk", f"the disk of {storage.home} does not say how much is free")
    said = f"{size(storage.free)} free"
    if storage.free < LEAST:
        return finding("CK604", f"{said}: no model fits", status=Status.FAILURE)
    if storage.free < COMFORTABLE:
        return finding("CK604", f"{said}: little for models")
    return fine("disk", said)


def _disk(disk: Disk) -> Iterator[Finding]:
    if disk.read_only and disk.role != "packages":
        yield finding("CK606", f"the disk of the folder for {disk.role} is attached for reading only")
    if disk.inodes is not None and disk.inodes < INODES:
        said = f"the disk of the folder for {disk.role} has room for {disk.inodes} more files"
        yield finding("CK605", said)
    if disk.role == "models" and disk.type and disk.type.startswith(SLOW):
        yield finding("CK607", f"the models lie on a disk of type {disk.type}")
    if disk.role == "temp" and disk.free is not None and disk.free < LEAST / 4:
        said = f"{size(disk.free)} free in the folder for temporary files"
        yield finding("CK604", said)
