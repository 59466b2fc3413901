"""Where a file can be had, and what is known of it before a byte has come."""

from __future__ import annotations

from dataclasses import dataclass, field

from comfykit.fetch.urls import host, origin, redact

Origin = tuple[str, str, int]


@dataclass(frozen=True, slots=True)
class Source:
    """An address to ask, before redirects.

    `headers` may be secrets: they go to `bound_to` (scheme, host and port) and to nobody else, whatever
    the address is and wherever it redirects to. `user_agent` goes everywhere. `name` is what people
    call the source; without one it is the host. `token_from` says where a token among the headers was found.
    """

    url: str = field(repr=False)
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    bound_to: Origin | None = None
    user_agent: str | None = None
    name: str = ""
    token_from: str | None = None

    @property
    def title(self) -> str:
        """What a person is told."""
        return self.name or host(self.url)

    @property
    def shown(self) -> str:
        """The address without its secrets."""
        return redact(self.url)

    def headers_for(self, url: str) -> dict[str, str]:
        """Headers that may be sent to an address: the secret ones to their own origin alone."""
        fields: dict[str, str] = {}
        if self.user_agent:
            fields["User-Agent"] = self.user_agent
        if self.bound_to is not None and origin(url) == self.bound_to:
            for name, value in self.headers:
                fields[name] = f"{fields[name]}, {value}" if name in fields else value
        return fields


@dataclass(frozen=True, slots=True)
class Expected:
    """What the bytes must be, as far as it is known, and who says so ("list.txt:3", "the hub")."""

    size: int | None = None
    sha256: str | None = None
    said_by: str = ""


NOTHING_KNOWN = Expected()
