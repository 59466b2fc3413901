"""Civitai: a model has versions, a version has files.

The bytes are at `/api/download/models/VERSION`, with `type`, `format`, `size` and `fp`, or `fileId`, to
choose among the files; without them it is the primary file. `/api/v1/model-versions/VERSION` has names
and hashes. Short forms are those of AIR, Civitai's own identifiers: `civitai:MODEL@VERSION+FILE`, with
or without the `urn:air:...` before. Interface: developer.civitai.com/site/reference.

A HEAD request is answered with 401 even where the token is good, so nothing here leads to one. Without a
token some files answer 401, and some are redirected to a login page.
"""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, urlencode, urlsplit

from comfykit.errors import TransferError
from comfykit.fetch.hubs.base import Announced, Ask, Refusal, parts_of, sha256_of, table, tables

ENDPOINT = "https://civitai.com"
TOKENS_PAGE = f"{ENDPOINT}/user/account"

_AIR = re.compile(
    r"(?:(?:urn:)?air:(?:[a-z0-9_]+:){1,2}|(?:[a-z0-9_]+:){2})?civitai:"
    r"(?P<model>\d+)(?:@(?P<version>\d+))?(?:\+(?P<file>\d+))?(?:\.(?P<format>[a-z]+))?(?:\?(?P<query>.*))?",
    re.IGNORECASE,
)
_CHOICES = ("type", "format", "size", "fp", "fileId")
# Formats as AIR writes them, and as a download's query does.
_FORMATS = {"safetensor": "SafeTensor", "safetensors": "SafeTensor", "ckpt": "PickleTensor"}


class Civitai:
    """civitai.com and civitai.red."""

    name = "Civitai"
    hosts = frozenset({"civitai.com", "civitai.red"})

    def address(self, text: str) -> str | None:
        """A page, an AIR identifier or a download as the address of the bytes.

        A model without a version stays the address of its page; `pin` finds the newest version.
        """
        short = _AIR.fullmatch(text)
        if short:
            return _from_air(short)
        if text.lower().startswith("civitai:"):
            shown = text.partition("?")[0]
            raise ValueError(f"{shown} is no model of Civitai; it is written civitai:MODEL@VERSION")
        parts = parts_of(text, self.hosts)
        if parts is None:
            return None
        if parts[:1] == ["models"] and len(parts) >= 2 and parts[1].isdigit():
            split = urlsplit(text)
            query = dict(parse_qsl(split.query))
            return _address(
                f"{split.scheme}://{split.netloc}", parts[1], query.get("modelVersionId"), _chosen(query)
            )
        return text

    def hint(self, refusal: Refusal) -> str | None:
        """Name the token that is missing or does not suffice."""
        if refusal.token_from is None:
            return f"set CIVITAI_TOKEN to a key from {TOKENS_PAGE} (API keys)"
        return (
            f"the key of {refusal.token_from} is not valid, or its owner may not have this file "
            f"(early access?); keys are made at {TOKENS_PAGE}"
        )

    def question(self, url: str) -> str | None:
        """The version's description; None for an address that is no download."""
        version = _version(url)
        split = urlsplit(url)
        return f"{split.scheme}://{split.netloc}/api/v1/model-versions/{version}" if version else None

    def answer(self, url: str, document: object) -> Announced | None:
        """Name and hash of the file that the address chooses among those of its version."""
        wanted = dict(parse_qsl(urlsplit(url).query))
        fitting = [file for file in tables(table(document).get("files")) if _fits(file, wanted)]
        file = next((file for file in fitting if file.get("primary") is True), None)
        if file is None and len(fitting) == 1:
            file = fitting[0]
        if file is None:
            return None
        name = file.get("name")
        return Announced(
            name if isinstance(name, str) else None,
            _bytes(file.get("sizeKB")),
            sha256_of(table(file.get("hashes")).get("SHA256")),
        )


def unpinned(url: str) -> bool:
    """Whether an address is the page of a model of Civitai, without a version."""
    parts = parts_of(url, Civitai.hosts)
    return bool(parts) and parts is not None and parts[0] == "models"


def pin(url: str, ask: Ask) -> str:
    """The download of the newest version of the model whose page `url` is.

    Raises `TransferError` where the model has no version that can be had.
    """
    split = urlsplit(url)
    model = split.path.split("/")[2]
    document = table(ask(f"{split.scheme}://{split.netloc}/api/v1/models/{model}"))
    versions = tables(document.get("modelVersions"))
    newest = next((version.get("id") for version in versions if isinstance(version.get("id"), int)), None)
    if newest is None:
        raise TransferError(f"{split.hostname} knows no version of model {model} that can be fetched")
    return _address(
        f"{split.scheme}://{split.netloc}", model, str(newest), _chosen(dict(parse_qsl(split.query)))
    )


def _from_air(match: re.Match[str]) -> str:
    choice = _chosen(dict(parse_qsl(match["query"] or "")))
    if match["format"]:
        known = _FORMATS.get(match["format"].lower())
        if known is None:
            raise ValueError(f"{match['format']} is no format of Civitai's files ({', '.join(_FORMATS)})")
        choice["format"] = known
    if match["file"]:
        choice["fileId"] = match["file"]
    return _address(ENDPOINT, match["model"], match["version"], choice)


def _address(endpoint: str, model: str, version: str | None, choice: dict[str, str]) -> str:
    path = f"api/download/models/{version}" if version and version.isdigit() else f"models/{model}"
    return f"{endpoint}/{path}" + (f"?{urlencode(choice)}" if choice else "")


def _chosen(query: dict[str, str]) -> dict[str, str]:
    return {name: query[name] for name in _CHOICES if query.get(name)}


def _version(url: str) -> str | None:
    parts = parts_of(url, Civitai.hosts)
    if parts and parts[:3] == ["api", "download", "models"] and len(parts) == 4 and parts[3].isdigit():
        return parts[3]
    return None


def _fits(file: dict[str, object], wanted: dict[str, str]) -> bool:
    """Whether a file is one that the query of a download may mean."""
    if "fileId" in wanted:
        return str(file.get("id")) == wanted["fileId"]
    facts = {"type": file.get("type"), **table(file.get("metadata"))}
    return all(facts.get(name) == wanted[name] for name in ("type", "format", "size", "fp") if name in wanted)


def _bytes(kibibytes: object) -> int | None:
    """Bytes of a size in KiB; None where it was rounded, as a size that is not exact cannot be checked."""
    if not isinstance(kibibytes, int | float) or isinstance(kibibytes, bool) or kibibytes <= 0:
        return None
    size = float(kibibytes) * 1024
    return int(size) if size.is_integer() else None
