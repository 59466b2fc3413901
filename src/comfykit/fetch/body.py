"""The body of an answer, read past `http.client` straight into the caller's memory."""

from __future__ import annotations

import http.client
import io
import socket
import ssl
import struct
from collections.abc import Callable

from comfykit.fetch.connections import words_of_socket
from comfykit.fetch.headers import Headers
from comfykit.fetch.line import Line
from comfykit.fetch.retry import Cause, fault

_DRAIN_BYTES = 64 * 1024
# A plain socket fills the whole buffer in one call, or gives what it has after this.
_GATHER_SECONDS = 0.2
_GATHER = getattr(socket, "MSG_WAITALL", 0)


class SocketAnswer:
    """An `Answer` over a socket; `keep` takes the connection back when all of it was read."""

    def __init__(
        self,
        name: str,
        connection: http.client.HTTPConnection,
        connected: socket.socket,
        response: http.client.HTTPResponse,
        line: Line,
        keep: Callable[[http.client.HTTPConnection], None],
    ) -> None:
        self._name, self._line, self._keep = name, line, keep
        self._connection, self._response = connection, response
        self._socket = connected  # http.client forgets it where the server closes after this answer
        self._plain = not isinstance(connected, ssl.SSLSocket)
        self._remaining: int | None = None if response.chunked else response.length
        self._drained = self._ended = False
        self._closes = response.will_close
        self.status = response.status
        self.headers = Headers(response.getheaders())

    def readinto(self, view: memoryview) -> int:
        """As `Answer.readinto`."""
        if self._ended or self._remaining == 0:
            return 0
        want = view if self._remaining is None else view[: self._remaining]
        try:
            count = self._read(want)
        except (OSError, http.client.HTTPException, ValueError) as error:
            self._closes = True
            self._line.check()
            raise fault(Cause.BROKEN, f"{self._name}: {words_of_socket(error, None)}") from error
        self._line.check()
        self._line.arrived(count)
        if self._remaining is not None:
            if not count:
                self._closes = True
                raise fault(
                    Cause.BROKEN,
                    f"{self._name}: the connection broke ({self._remaining} bytes before the end)",
                )
            self._remaining -= count
        self._ended = not count
        return count

    def close(self) -> None:
        """As `Answer.close`."""
        whole = self._ended if self._remaining is None else self._remaining == 0
        if not whole and self._remaining is not None and self._remaining <= _DRAIN_BYTES:
            whole = self._drain()
        self._line.let_go()
        self._response.close()
        if whole and not self._closes and self._connection.sock is not None:
            if self._drained and self._plain and _GATHER:
                _set_receive_timeout(self._socket, 0.0)
            self._keep(self._connection)
        else:
            self._connection.close()
            self._socket.close()

    def _drain(self) -> bool:
        """Read what little is left, so that the connection can be kept."""
        view = memoryview(bytearray(_DRAIN_BYTES))
        try:
            while self.readinto(view):
                pass
        except Exception:  # noqa: BLE001  (the answer is not wanted any more, nor is why it ended)
            return False
        return True

    def _read(self, view: memoryview) -> int:
        if self._response.chunked:
            data = self._response.read1(len(view))
            view[: len(data)] = data
            return len(data)
        if not self._drained:
            # Reading the headers took the start of the body along; one read of its buffer's size empties it.
            data = self._response.fp.read1(min(len(view), io.DEFAULT_BUFFER_SIZE))
            self._drained = len(view) >= io.DEFAULT_BUFFER_SIZE
            if self._drained and self._plain and _GATHER:  # the buffer would take a timeout for an end
                _set_receive_timeout(self._socket, _GATHER_SECONDS)
            view[: len(data)] = data
            return len(data)
        while True:
            try:
                return self._socket.recv_into(view, 0, _GATHER if self._plain else 0)
            except BlockingIOError:
                self._line.check()


def _set_receive_timeout(connected: socket.socket, seconds: float) -> None:
    whole = int(seconds)
    value = struct.pack("ll", whole, int((seconds - whole) * 1e6))
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, value)
