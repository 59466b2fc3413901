"""ModelScope: `/models/OWNER/NAME/resolve/REVISION/PATH`, or the interface's own address with `FilePath`.

The listing of a repository has `Path`, `Size` and `Sha256` of every file. A 200 with an empty body has
been seen, so a size is worth having.
"""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import parse_qs, quote, unquote, urlencode, urlsplit

from comfykit.fetch.hubs.base import Announced, Refusal, parts_of, sha256_of, size_of, table, tables

_HOSTS = frozenset({"modelscope.cn", "www.modelscope.cn", "modelscope.ai", "www.modelscope.ai"})


class _File(NamedTuple):
    """A file of a repository."""

    repository: str
    revision: str
    path: str


class ModelScope:
    """modelscope.cn and modelscope.ai."""

    name = "ModelScope"
    hosts = _HOSTS

    def address(self, text: str) -> str | None:
        """Both forms of address are those of bytes; anything else of this hub is a page."""
        parts = parts_of(text, _HOSTS)
        if parts is None:
            return None
        if parts[:1] == ["models"] and _file(text) is None:
            raise ValueError(
                f"{urlsplit(text).hostname}/{'/'.join(parts)} is a page, not a file: "
                "a file is at /models/OWNER/NAME/resolve/REVISION/PATH"
            )
        return text

    def hint(self, refusal: Refusal) -> str | None:
        """Only public files can be had."""
        return "files that need a login on ModelScope cannot be fetched; give the address of another mirror"

    def question(self, url: str) -> str | None:
        """The listing of the repository."""
        file = _file(url)
        if file is None:
            return None
        split = urlsplit(url)
        query = urlencode({"Revision": file.revision, "Recursive": "true"})
        return f"{split.scheme}://{split.netloc}/api/v1/models/{quote(file.repository)}/repo/files?{query}"

    def answer(self, url: str, document: object) -> Announced | None:
        """Size and hash of the file at this path."""
        file = _file(url)
        for found in tables(table(table(document).get("Data")).get("Files")):
            if file and found.get("Path") == file.path:
                name = file.path.rpartition("/")[2]
                return Announced(name, size_of(found.get("Size")), sha256_of(found.get("Sha256")))
        return None


def file_path(url: str) -> str | None:
    """The path within its repository of the file at an address; None where it is none of ModelScope."""
    file = _file(url)
    return file.path if file else None


def _file(url: str) -> _File | None:
    parts = parts_of(url, _HOSTS)
    if parts is None:
        return None
    if parts[:1] == ["models"] and parts[3:4] == ["resolve"] and len(parts) >= 6:
        return _File(unquote("/".join(parts[1:3])), unquote(parts[4]), unquote("/".join(parts[5:])))
    if parts[:3] == ["api", "v1", "models"] and parts[5:] == ["repo"]:
        query = parse_qs(urlsplit(url).query)
        path = query.get("FilePath", [""])[0]
        if path:
            return _File(unquote("/".join(parts[3:5])), query.get("Revision", ["master"])[0], path)
    return None
