"""A file on a server that keeps the rules: ranges, If-Range, 416. Faults are small departures from it."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, replace

from fault_server import Exchange, Headers

_RANGE = re.compile(r"bytes=(\d+)-(\d*)")


def model(size: int = 300_000, seed: int = 0) -> bytes:
    """A safetensors file with one tensor of `size` bytes that no offset repeats."""
    header = json.dumps({"a": {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}}).encode()
    header += b" " * (-len(header) % 8)
    body = hashlib.shake_128(seed.to_bytes(4, "little")).digest(size)
    return len(header).to_bytes(8, "little") + header + body


@dataclass(frozen=True)
class Stored:
    """Bytes with an ETag. `rate` limits each answer, in bytes a second; `headers` are added to each."""

    data: bytes
    etag: str | None = '"one"'
    modified: str | None = None
    ranges: bool = True
    rate: float | None = None
    headers: Headers = ()
    content_type: str = "application/octet-stream"

    def __call__(self, exchange: Exchange) -> None:
        span = self.span(exchange)
        if span is None:
            exchange.head(200, [*self.identity(), ("Content-Length", str(len(self.data)))])
            exchange.body(self.data, self.rate)
        elif span[0] >= len(self.data):
            exchange.answer(416, b"", [("Content-Range", f"bytes */{len(self.data)}")])
        else:
            self.give(exchange, *span)

    def give(self, exchange: Exchange, start: int, end: int) -> None:
        """A right answer to a Range."""
        exchange.head(206, self.partial_headers(start, end))
        exchange.body(memoryview(self.data)[start:end], self.rate)

    def partial_headers(self, start: int, end: int) -> list[tuple[str, str]]:
        place = ("Content-Range", f"bytes {start}-{end - 1}/{len(self.data)}")
        return [*self.identity(), place, ("Content-Length", str(end - start))]

    def identity(self) -> list[tuple[str, str]]:
        fields = [("Content-Type", self.content_type), *self.headers]
        if self.ranges:
            fields.append(("Accept-Ranges", "bytes"))
        if self.etag:
            fields.append(("ETag", self.etag))
        if self.modified:
            fields.append(("Last-Modified", self.modified))
        return fields

    def span(self, exchange: Exchange) -> tuple[int, int] | None:
        """Which bytes are asked for, end exclusive; None for all of them in a 200."""
        match = _RANGE.fullmatch(exchange.request.headers.get("range", ""))
        condition = exchange.request.headers.get("if-range")
        if not self.ranges or match is None or (condition and condition not in (self.etag, self.modified)):
            return None
        start = int(match[1])
        return start, min(int(match[2]) + 1 if match[2] else len(self.data), len(self.data))

    def but(self, **changes: object) -> Stored:
        return replace(self, **changes)  # type: ignore[arg-type]
