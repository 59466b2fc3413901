"""What aria2's exit statuses mean for a transfer ("EXIT STATUS" in its manual).

aria2 does not pass on what the server said. Where it matters (a link that expired, a wait that is asked
for, another file), the address is asked again by `resolve`, which tells.
"""

from __future__ import annotations

import errno
import os

from comfykit.errors import TransferError
from comfykit.fetch.aria2_rpc import Status
from comfykit.fetch.retry import Cause, fault

_DISK_FULL = 9
_DISK = frozenset({_DISK_FULL, 15, 16, 17, 18})

_CAUSES = {
    2: (Cause.STALLED, "nothing arrived for too long"),
    3: (Cause.EXPIRED, "the file is not found any more"),
    4: (Cause.EXPIRED, "the file is not found any more"),
    5: (Cause.STALLED, "it sends too slowly"),
    6: (Cause.BROKEN, "the connection broke"),
    8: (Cause.NO_RANGES, "it sent something else when a part was asked for"),
    19: (Cause.UNREACHABLE, "its name is not known"),
    22: (Cause.EXPIRED, "an answer that is not the file"),
    23: (Cause.ODD, "too many redirects"),
    24: (Cause.EXPIRED, "it wants a login"),
    29: (Cause.BUSY, "it cannot answer now"),
    32: (Cause.WRONG, "the bytes have another checksum than it announced"),
}


def error_of(status: Status, host: str, descriptor: int, size: int) -> TransferError | OSError:
    """What to raise for a download of `size` bytes into an open file that ended with an error."""
    if status.code in _DISK:
        return _disk_error(status, descriptor, size)
    cause, words = _CAUSES.get(status.code, (Cause.BROKEN, "the transfer ended early"))
    return fault(cause, f"{host}: {words} (aria2's status {status.code})")


def _disk_error(status: Status, descriptor: int, size: int) -> OSError:
    """The system's own error: aria2 does not pass it on when its cache is written, so ask for the room."""
    if status.code == _DISK_FULL:
        return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    try:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(descriptor, 0, size)
    except OSError as error:
        return error
    return OSError(errno.EIO, f"{os.strerror(errno.EIO)}, aria2 says: {status.message}")
