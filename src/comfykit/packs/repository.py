"""Addresses of git repositories: which are accepted, and what each is called.

Only https, ssh and file; plain http where a person wrote it. Everything is judged by grammars so narrow
that nothing that git reads as an option or as a helper program (`--upload-pack=...`, `ext::sh ...`,
`ssh://-oProxyCommand=...`) fits them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from comfykit.errors import PackError
from comfykit.events import Warned
from comfykit.fetch.urls import clean_url, host, is_loopback, redact
from comfykit.packs.names import check_name

COMMIT = re.compile(r"[0-9a-f]{40}\Z|[0-9a-f]{64}\Z", re.IGNORECASE)

_USER = r"[A-Za-z0-9_][A-Za-z0-9._-]*"
_HOST = r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?"
_SSH = re.compile(
    rf"ssh://(?:{_USER}@)?(?P<host>{_HOST})(?::[0-9]{{1,5}})?(?P<path>/[^\s@]+)\Z", re.IGNORECASE
)
_SCP = re.compile(rf"{_USER}@(?P<host>{_HOST}):(?P<path>[^\s:@]+)\Z")
_FILE = re.compile(r"file://(?:localhost)?(?P<path>/\S*)\Z", re.IGNORECASE)
_SCHEMES = "https, ssh and file"
# What `git check-ref-format` refuses, and a leading '-', which git would take for an option.
_BAD_REF = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|/\.|\.lock(?:/|\Z)|^[-/.]|[/.]\Z|^@\Z")
_LONGEST_REF = 250


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository's address as git is given it, and the name that its path ends in."""

    url: str
    name: str

    @property
    def scheme(self) -> str:
        """`https`, `http`, `ssh` or `file`."""
        scheme, separator, _ = self.url.partition("://")
        return scheme.lower() if separator else "ssh"

    @property
    def host(self) -> str:
        """The host that is asked; empty for a repository on this machine."""
        if "://" in self.url:
            return (urlsplit(self.url).hostname or "").lower()
        return self.url.partition("@")[2].partition(":")[0].lower()


def read_repository(text: str) -> Repository:
    """The repository at an address without a ref; raises `PackError` for an address that is not accepted."""
    if text.startswith("-") or not text.isprintable() or "\\" in text:
        raise PackError(f"{text!r} is not the address of a repository")
    scheme = text.partition("://")[0].lower() if "://" in text else ""
    if "::" in text.partition("://")[0]:
        raise PackError(
            f"{text!r} names a helper program of git, and none is run",
            hint=f"repositories are fetched over {_SCHEMES}",
        )
    if scheme in ("https", "http"):
        return _over_http(text)
    if scheme == "ssh":
        match = _SSH.fullmatch(text)
    elif scheme == "file":
        match = _FILE.fullmatch(text)
    elif scheme:
        raise PackError(
            f"{redact(text)!r}: {scheme}:// is not accepted", hint=f"repositories are fetched over {_SCHEMES}"
        )
    else:
        match = _SCP.fullmatch(text)
    if match is None or any(part.startswith("-") for part in match["path"].split("/")):
        raise PackError(f"{text!r} is not the address of a repository", hint=_examples())
    return Repository(text, _name(match["path"], text))


def check_ref(ref: str) -> str:
    """A commit, tag or branch as it was written; raises `PackError` for what cannot be the name of one."""
    if not ref or len(ref) > _LONGEST_REF or not ref.isprintable() or _BAD_REF.search(ref):
        raise PackError(
            f"{ref[:60]!r} is not the name of a commit, tag or branch",
            hint="write it behind an '@': ...@v1.2",
        )
    return ref


def is_commit(ref: str | None) -> bool:
    """Whether a ref is the full name of a commit, which decides about every byte of it."""
    return ref is not None and COMMIT.match(ref) is not None


def insecure(url: str) -> Warned | None:
    """What is said about an address that others on the way can read and change."""
    if not url.startswith("http://") or is_loopback(url):
        return None
    return Warned(f"{host(url)} is asked over plain http: anybody on the way can change what comes",
                  "write https:// if it has it")  # fmt: skip


def _over_http(text: str) -> Repository:
    if "#" in text or "?" in text:
        raise PackError(
            f"{redact(text.partition('#')[0])!r}: the address of a repository ends before a '?' or '#'",
            hint="write a commit, tag or branch behind an '@'",
        )
    if "@" in text.partition("://")[2].partition("/")[0]:
        raise PackError(
            "an address with a user name or password in it would be written into the home",
            hint="use ssh, or let git's credential helper know them",
        )
    try:
        url = clean_url(text)
    except ValueError as error:
        raise PackError(str(error)) from error
    return Repository(url.rstrip("/"), _name(urlsplit(url).path, text))


def _name(path: str, text: str) -> str:
    last = unquote(path.rstrip("/").rpartition("/")[2])
    name = last.removesuffix(".git") if last != ".git" else ""
    try:
        return check_name(name)
    except PackError as error:
        raise PackError(f"{redact(text)!r} ends in no name for a pack: {error}") from error


def _examples() -> str:
    return "such as https://github.com/OWNER/REPO, git@github.com:OWNER/REPO.git or file:///PATH"
