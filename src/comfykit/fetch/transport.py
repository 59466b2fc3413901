"""The one seam between transfers and the network.

A `Transport` makes one request and hands back one response: no redirects, no retries, no decoding.
What to make of the answer is decided above it, so that tests put a fake here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Protocol


class Response(Protocol):
    """An answer whose body has not been read yet."""

    @property
    def status(self) -> int:
        """HTTP status code."""

    @property
    def headers(self) -> Mapping[str, str]:
        """Header fields; names are matched without case."""

    def chunks(self) -> Iterator[bytes]:
        """The body as it arrives; raises `TransferError` where the connection breaks or ends early."""


class Transport(Protocol):
    """Makes single HTTP requests; used from several threads at once."""

    def get(self, url: str, headers: Mapping[str, str]) -> AbstractContextManager[Response]:
        """Ask for an address with exactly these headers; raises `TransferError` without an answer."""
