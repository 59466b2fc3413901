"""What a person writes to name a pack, and what it means.

| written                                                             | means                          |
|---------------------------------------------------------------------|--------------------------------|
| `https://HOST/OWNER/REPO`, `git+https://...`, `ssh://...`, `git@HOST:OWNER/REPO` | a git repository  |
| `OWNER/REPO`                                                        | the same, on GitHub            |
| ...`@REF` behind any of them                                        | its commit, tag or branch      |
| `./PACK`, `/PATH/PACK`, `PATH/PACK.py`                              | a folder or a file here        |
| `PACK.zip`, `https://.../PACK.zip`, ...`#sha256=HEX`                | an archive                     |
| `ID`, `ID@VERSION`, `ID@nightly`                                    | a pack of the Comfy registry   |
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from comfykit.errors import PackError
from comfykit.fetch.urls import clean_url, redact
from comfykit.home import expand
from comfykit.packs.names import check_name, without_branch
from comfykit.packs.repository import check_ref, read_repository

GIT, FOLDER, ZIP, REGISTRY = "git", "folder", "zip", "registry"

_OWNER_AND_REPO = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*/[A-Za-z0-9._-]+(?:@.+)?\Z")
# docs.comfy.org/registry/specifications: letters, digits, '-', '_' and '.', the first one a letter.
_ID = re.compile(r"(?P<id>[A-Za-z][A-Za-z0-9._-]{0,99})(?:@(?P<version>[0-9A-Za-z][0-9A-Za-z.+_-]{0,99}))?\Z")
_SHA256 = re.compile(r"sha256=([0-9a-f]{64})\Z", re.IGNORECASE)
_GITHUB = frozenset({"github.com", "www.github.com"})
_LONGEST = 2000


@dataclass(frozen=True, slots=True)
class Spec:
    """One pack that is wanted.

    `url` is a repository's address, an archive's address or absolute path, the absolute path of a folder
    or file, or an id of the registry. `ref` is a commit, tag or branch, or the registry's version. `name`
    is its folder below `custom_nodes/`; None where only the archive's content says it.
    """

    kind: str
    url: str
    ref: str | None = None
    name: str | None = None
    sha256: str | None = None

    @property
    def text(self) -> str:
        """The spec as it can be written again, without secrets."""
        shown = redact(self.url) if "://" in self.url else self.url
        pin = f"#sha256={self.sha256}" if self.sha256 and self.kind == ZIP else ""
        return shown + (f"@{self.ref}" if self.ref else "") + pin


def parse_spec(text: str, *, folder: Path) -> Spec:
    """What `text` names; paths in it are relative to `folder`. Raises `PackError` for what names nothing.

    A path with a '/' that is a folder here is that folder; anything else of the form OWNER/REPO is on
    GitHub. A single word is an id of the registry, also where a folder of that name lies here.
    """
    text = text.strip()
    if not text or len(text) > _LONGEST or not text.isprintable():
        raise PackError(f"{text[:60]!r} names no pack", hint=_forms())
    if text.startswith("-"):
        raise PackError(f"{text!r} looks like an option, not like a pack", hint=_forms())
    if "://" in text or "::" in text:
        return _address(text)
    if _is_path(text, folder):
        return _here(text, folder)
    if re.match(r"(?:git\+)?[^/@]*@[^/]*:", text):
        return _git(text.removeprefix("git+"))
    if _OWNER_AND_REPO.match(text):
        return _git(f"https://github.com/{text}")
    match = _ID.match(text)
    if match is None:
        raise PackError(f"{text!r} names no pack", hint=_forms())
    return Spec(REGISTRY, match["id"], match["version"], check_name(match["id"]))


def _address(text: str) -> Spec:
    if text.startswith("git+"):
        return _git(text.removeprefix("git+"))
    if text.lower().startswith(("https://", "http://")):
        return _over_http(text)
    if text.lower().startswith("file://") and _path_of(text).suffix.lower() == ".zip":
        return _zip_here(_path_of(text))
    return _git(text)


def _is_path(text: str, folder: Path) -> bool:
    """Whether a text is written as a path, or names a folder here although it could be one of GitHub."""
    if text.startswith(("/", "./", "../", "~")) or text in (".", ".."):
        return True
    return text.lower().endswith((".zip", ".py")) or ("/" in text and (folder / text).is_dir())


def _here(text: str, folder: Path) -> Spec:
    path = Path(os.path.abspath(folder / expand(text)))  # noqa: PTH100  (a link keeps its own name)
    if path.suffix.lower() == ".zip" and not path.is_dir():
        return _zip_here(path)
    if path.is_dir():
        return Spec(FOLDER, str(path), name=check_name(path.name))
    if path.is_file() and path.suffix == ".py":
        return Spec(FOLDER, str(path), name=check_name(path.name))
    if path.exists():
        raise PackError(f"{path} is no folder, no .zip and no .py file", hint=_forms())
    raise PackError(f"there is no {path}", hint="look at the path; packs of GitHub are OWNER/REPO")


def _zip_here(path: Path) -> Spec:
    if not path.is_file():
        raise PackError(f"there is no archive {path}")
    return Spec(ZIP, str(path))


def _path_of(text: str) -> Path:
    return Path(unquote(urlsplit(text).path))


def _git(text: str) -> Spec:
    """A repository, with what stands behind the '@' of its path."""
    scheme, separator, rest = text.rpartition("://")
    host, slash, path = rest.partition("/") if separator else rest.partition(":")
    address, at, ref = path.partition("@")
    repository = read_repository(f"{scheme}{separator}{host}{slash}{address}")
    return Spec(GIT, repository.url, check_ref(ref) if at else None, repository.name)


def _over_http(text: str) -> Spec:
    """A repository or an archive; pages of GitHub count as what they show."""
    address, _, fragment = text.partition("#")
    try:
        parts = urlsplit(address)
    except ValueError as error:
        raise PackError(f"{redact(address)!r} is not an address that can be requested") from error
    steps = [step for step in parts.path.split("/") if step]
    if _is_archive(parts.hostname or "", steps):
        return _archive(address, fragment, steps)
    if fragment:
        raise PackError(
            f"{redact(address)!r}: nothing may follow a '#' here",
            hint="a commit, tag or branch goes behind an '@'; a checksum only behind the address of a .zip",
        )
    if (parts.hostname or "").lower() in _GITHUB and len(steps) > 2 and "@" not in "".join(steps[:2]):
        return _page(steps)
    return _git(address)


def _is_archive(host: str, steps: list[str]) -> bool:
    if steps and steps[-1].lower().endswith(".zip"):
        return True
    if host.lower() == "codeload.github.com":
        return steps[2:3] in (["zip"], ["legacy.zip"])
    return host.lower() in _GITHUB and steps[2:3] == ["zipball"]


def _archive(address: str, fragment: str, steps: list[str]) -> Spec:
    pin = _SHA256.fullmatch(fragment)
    if fragment and pin is None:
        raise PackError(f"{redact(address)!r}: behind the '#' stands sha256=HEX, or nothing")
    try:
        url = clean_url(address)
    except ValueError as error:
        raise PackError(str(error)) from error
    host = (urlsplit(url).hostname or "").lower()
    of_repository = (
        host in {*_GITHUB, "codeload.github.com"} and steps[2:3] != ["releases"] and len(steps) > 2
    )
    name = check_name(steps[1]) if of_repository else None
    return Spec(ZIP, url, name=name, sha256=pin[1].lower() if pin else None)


def _page(steps: list[str]) -> Spec:
    """What a page of a repository on GitHub shows: a branch, a commit or a release's tag."""
    address = f"https://github.com/{steps[0]}/{steps[1]}"
    match steps[2:]:
        case ["tree", *ref] if ref:
            return _git(f"{address}@{unquote('/'.join(ref))}")
        case ["commit", ref]:
            return _git(f"{address}@{ref}")
        case ["releases", "tag", ref]:
            return _git(f"{address}@{unquote(ref)}")
    raise PackError(
        f"https://github.com/{'/'.join(steps)} is a page, not a repository", hint=f"give {address} instead"
    )


def name_of_archive(path: str) -> str:
    """What an archive's own name says that its pack is called."""
    return without_branch(Path(unquote(urlsplit(path).path if "://" in path else path)).stem)


def _forms() -> str:
    return "a pack is OWNER/REPO[@REF], a git address, a folder (./PACK), a .zip, or an id of the registry"
