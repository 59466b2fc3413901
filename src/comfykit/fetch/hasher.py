"""SHA-256 of a file while it arrives.

A thread follows the bytes that are there from the start without a gap, and reads them back: they are in
the page cache still, so that this costs a copy in memory and no connection ever waits for the hash.
"""

from __future__ import annotations

import hashlib
import os
import threading
from concurrent.futures import wait

from comfykit.errors import Interrupted
from comfykit.fetch.threads import in_thread

_BLOCK_BYTES = 1024 * 1024
_POLL_SECONDS = 0.1


class Hasher:
    """Follows one file; `reach` is called as bytes arrive, `digest` at the end, `close` always."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = os.dup(descriptor)
        self._changed = threading.Condition()
        self._wanted = 0
        self._done = 0
        self._closed = False
        self._digest = hashlib.sha256()
        self._thread = in_thread(self._run)

    def reach(self, prefix: int) -> None:
        """Say that the first `prefix` bytes are in the file."""
        if prefix > self._wanted:
            with self._changed:
                self._wanted = max(self._wanted, prefix)
                self._changed.notify_all()

    def digest(self, size: int, cancel: threading.Event) -> str:
        """The hash of the whole file of `size` bytes, all of which are there, in hexadecimal digits.

        Raises `OSError` when they cannot be read back, and `Interrupted`.
        """
        self.reach(size)
        with self._changed:
            while self._done < size:
                if self._thread.done():
                    self._thread.result()
                    raise OSError(f"the file ends after {self._done} of {size} bytes")
                if cancel.is_set():
                    raise Interrupted("interrupted")
                self._changed.wait(_POLL_SECONDS)
        return self._digest.hexdigest()

    def close(self) -> None:
        """End the thread, and wait for it: its descriptor holds the lock on the partial file too."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        wait([self._thread])

    def _run(self) -> None:
        buffer = memoryview(bytearray(_BLOCK_BYTES))
        try:
            while self._wait():
                want = min(_BLOCK_BYTES, self._wanted - self._done)
                count = os.preadv(self._descriptor, [buffer[:want]], self._done)
                if not count:
                    return
                self._digest.update(buffer[:count])
                with self._changed:
                    self._done += count
                    if self._done == self._wanted:
                        self._changed.notify_all()
        finally:
            os.close(self._descriptor)

    def _wait(self) -> bool:
        """Wait for bytes; False when there will be none."""
        with self._changed:
            while self._wanted <= self._done and not self._closed:
                self._changed.wait()
            return not self._closed
