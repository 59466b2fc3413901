"""Hugging Face, and mirrors of it that have the same paths.

A file is at `/OWNER/REPO/resolve/REVISION/PATH`; datasets and spaces have their kind in front. The hub
announces size and SHA-256 itself, in the redirect to the bytes (`X-Linked-Size`, `X-Linked-ETag`), so
that nothing has to be asked before. A repository that is not there and one that is private are both
answered with 401; `X-Error-Code` tells `GatedRepo` from `RepoNotFound`.
"""

from __future__ import annotations

from urllib.parse import quote, unquote, urlsplit

from comfykit.fetch.hubs.base import Announced, Refusal, parts_of

ENDPOINT = "https://huggingface.co"
TOKENS_PAGE = f"{ENDPOINT}/settings/tokens"

_SCHEME = "hf://"
_HOME = "huggingface.co"
_SHORT = "hf.co"
_KINDS = frozenset({"datasets", "spaces"})
# Pages of a file, by the part of the path that names what is shown.
_FILE_PAGES = frozenset({"blob", "raw", "resolve"})
_OTHER_PAGES = frozenset({"commit", "commits", "discussions", "tree"})


class HuggingFace:
    """huggingface.co and hf-mirror.com."""

    name = "Hugging Face"
    hosts = frozenset({_HOME, _SHORT, "hf-mirror.com"})

    def address(self, text: str) -> str | None:
        """`hf://OWNER/REPO/PATH@REVISION`, or a page of a file, as the address of its bytes."""
        if text.lower().startswith(_SCHEME):
            return _from_short_form(text[len(_SCHEME) :])
        parts = parts_of(text, self.hosts)
        if parts is None:
            return None
        prefix = 1 if parts and parts[0] in _KINDS else 0
        repository, rest = parts[: prefix + 2], parts[prefix + 2 :]
        split = urlsplit(text)
        if rest and rest[0] in _FILE_PAGES and len(rest) >= 3:
            host = _HOME if split.hostname == _SHORT else split.netloc
            return f"{split.scheme}://{host}/{'/'.join([*repository, 'resolve', *rest[1:]])}"
        if len(repository) == prefix + 2 and repository[0] != "api" and (not rest or rest[0] in _OTHER_PAGES):
            raise ValueError(f"{split.hostname}{split.path} is a page, not a file: open the file's own page")
        return text

    def hint(self, refusal: Refusal) -> str | None:
        """Name the token that is missing, and the page where the terms are accepted."""
        mirror = urlsplit(refusal.url).hostname
        if mirror != _HOME:
            if refusal.token_from:
                return f"{mirror} does not accept the token of {refusal.token_from}"
            return (
                f"tokens of {_HOME} do not go to its mirrors; to trust {mirror} with one, name it under "
                "[tokens] in comfykit.toml"
            )
        page = _repository_page(refusal.url)
        if refusal.token_from is None:
            return f"set HF_TOKEN to a token from {TOKENS_PAGE}, and accept the terms at {page} if it has any"
        if refusal.code == "RepoNotFound":
            return f"{page} is not there, or hidden from the owner of the token of {refusal.token_from}"
        if refusal.status == 401 and refusal.code != "GatedRepo":
            return f"the token of {refusal.token_from} is not valid; make a new one at {TOKENS_PAGE}"
        return (
            f"the owner of the token of {refusal.token_from} has to accept the terms at {page}; "
            "a fine-grained token needs the right to read gated repositories"
        )

    def question(self, url: str) -> str | None:
        """Nothing to ask: the redirect itself announces size and hash."""
        return None

    def answer(self, url: str, document: object) -> Announced | None:
        """Nothing was asked."""
        return None


def _from_short_form(text: str) -> str:
    """`OWNER/REPO/PATH@REVISION` or `OWNER/REPO@REVISION/PATH`; the revision is `main` where none stands."""
    parts = text.split("/")
    prefix = 1 if parts[0] in _KINDS else 0
    repository, path = parts[prefix : prefix + 2], "/".join(parts[prefix + 2 :])
    revision = "main"
    if len(repository) == 2 and "@" in repository[1]:
        repository[1], _, revision = repository[1].partition("@")
    elif "@" in path:
        path, _, revision = path.rpartition("@")
    if len(repository) != 2 or not (all(repository) and path.strip("/") and revision):
        raise ValueError(f"{_SCHEME}{text} names no file; it is written {_SCHEME}OWNER/REPO/PATH@REVISION")
    # A revision may hold a slash (refs/pr/1), which is quoted in the address.
    names = [*parts[:prefix], *repository, "resolve"]
    quoted = [*(quote(name, safe="") for name in names), quote(unquote(revision), safe="")]
    return f"{ENDPOINT}/{'/'.join(quoted)}/{quote(unquote(path))}"


def _repository_page(url: str) -> str:
    parts = [part for part in urlsplit(url).path.split("/") if part]
    return f"{ENDPOINT}/{'/'.join(parts[: 3 if parts and parts[0] in _KINDS else 2])}"
