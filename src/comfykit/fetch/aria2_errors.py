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
_DISK = frozenset({15, 16, 17, 18})
# Errors that its messages name by the words of the system.
_NAMED = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM)

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


def error_of(status: Status, host: str) -> TransferError | OSError:
    """What to raise for a download that ended with an error."""
    if status.code == _DISK_FULL:
        return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    if status.code in _DISK:
        number = next((code for code in _NAMED if os.strerror(code) in status.message), errno.EIO)
        return OSError(number, os.strerror(number))
    cause, words = _CAUSES.get(status.code, (Cause.BROKEN, "the transfer ended early"))
    return fault(cause, f"{host}: {words} (aria2's status {status.code})")
