"""GitHub: assets of releases, and files of repositories.

An asset's address answers with a redirect to one that expires after 300 seconds. The interface's
`digest` of an asset is `sha256:HEX`; assets from before GitHub computed them have none. Without a token
it answers sixty questions an hour, so it is asked only about files whose hash is not known.
"""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

from comfykit.fetch.hubs.base import Announced, Refusal, parts_of, sha256_of, size_of, table, tables

_API = "https://api.github.com"
_HOME = "github.com"


class GitHub:
    """github.com and raw.githubusercontent.com."""

    name = "GitHub"
    hosts = frozenset({_HOME, "raw.githubusercontent.com"})

    def address(self, text: str) -> str | None:
        """A file's page as the address of its bytes; assets of releases are that already."""
        parts = parts_of(text, self.hosts)
        if parts is None:
            return None
        if urlsplit(text).hostname != _HOME or len(parts) < 2:
            return text
        if parts[2:3] == ["blob"] and len(parts) >= 5:
            return f"https://{_HOME}/{'/'.join([*parts[:2], 'raw', *parts[3:]])}"
        page = (
            len(parts) == 2
            or parts[2] in ("tree", "blob")
            or parts[2:4] in (["releases"], ["releases", "tag"])
        )
        if page:
            raise ValueError(f"{_HOME}/{'/'.join(parts)} is a page, not a file: copy the address of the file")
        return text

    def hint(self, refusal: Refusal) -> str | None:
        """Only public files can be had without a header in the manifest."""
        return "private repositories need a line 'header=Authorization: Bearer TOKEN' below the address"

    def question(self, url: str) -> str | None:
        """The release that an asset belongs to."""
        asset = _asset(url)
        return f"{_API}/repos/{asset[0]}/{asset[1]}/releases/tags/{asset[2]}" if asset else None

    def answer(self, url: str, document: object) -> Announced | None:
        """Size and hash of the asset of this name."""
        asset = _asset(url)
        for found in tables(table(document).get("assets")):
            if asset and found.get("name") == unquote(asset[3]):
                digest = str(found.get("digest") or "")
                sha256 = sha256_of(digest.removeprefix("sha256:")) if digest.startswith("sha256:") else None
                return Announced(unquote(asset[3]), size_of(found.get("size")), sha256)
        return None


def _asset(url: str) -> tuple[str, str, str, str] | None:
    """Owner, repository, tag and name of a release's asset, quoted as in the address."""
    parts = parts_of(url, frozenset({_HOME}))
    if parts and len(parts) == 6 and parts[2:4] == ["releases", "download"]:
        return parts[0], parts[1], parts[4], parts[5]
    return None
