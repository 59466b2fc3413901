"""Bringing a repository: as little of its history as its server gives, from its own address or a mirror.

Nothing is left to `git clone` and `git submodule`, which know templates, helpers and update commands: a new
repository is made, one commit is fetched into it and checked out, and submodules are brought the same way.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from comfykit.errors import PackError
from comfykit.events import Reporter, TransferAdvanced, TransferEnded, TransferStarted, Warned, silent
from comfykit.fetch.mirrors import Mirror, candidates
from comfykit.fetch.urls import host, redact
from comfykit.packs.command import GitFailed, check_git, run_git
from comfykit.packs.growth import Growth
from comfykit.packs.limits import USUAL, PackLimits
from comfykit.packs.repository import Repository, insecure, is_commit
from comfykit.packs.submodules import Submodule, read_submodules
from comfykit.packs.tree import clean_tree

_SHORT_COMMIT = re.compile(r"[0-9a-f]{7,39}\Z", re.IGNORECASE)
# What a server says that gives branches and tags, and no commit by its name.
_NOT_BY_NAME = ("not our ref", "unadvertised object", "allow request for", "couldn't find remote ref")
_LOOK_AT_REFS = "look at its branches and tags, or leave it out"
# Words of git and of servers, what they mean, and what can be done. The first that fits counts.
_MEANINGS = (
    (
        ("couldn't find remote ref", "not our ref", "unadvertised object"),
        "{name} has no commit, tag or branch {ref!r}",
        _LOOK_AT_REFS,
    ),
    (
        ("could not read username", "authentication failed", "error: 401", "error: 403", "terminal prompts"),
        "{place} wants a login for {name}: it is private, or there is no such repository",
        "look at the address; git's own credentials or ssh open private ones",
    ),
    (
        ("not found", "error: 404", "does not exist", "does not appear to be a git repository"),
        "{place} has no repository {name}",
        "look at the address",
    ),
    (
        ("permission denied (publickey", "host key verification failed"),
        "{place} does not let this user in over ssh",
        "give the https:// address",
    ),
    (
        (
            *("unable to access", "could not resolve", "timed out", "refused", "early eof", "hung up"),
            *("too slow", "died with error", "invalid index-pack output"),
        ),
        "{place} cannot be reached, or broke off: {error}",
        "name a mirror by GITHUB_ENDPOINT (docs/mirrors.md), or give the pack's zip",
    ),
)
_HERE = "+refs/heads/*:refs/remotes/origin/*"


@dataclass(frozen=True, slots=True)
class Fetching:
    """What all repositories of a pack share: the person's mirrors, limits, and who is told."""

    rules: Sequence[Mirror] = ()
    limits: PackLimits = USUAL
    reporter: Reporter = silent
    cancel: threading.Event | None = None


def fetch_repository(repository: Repository, ref: str | None, folder: Path, fetching: Fetching) -> str:
    """Check a commit, tag or branch out into `folder`, which must not be there; the name of its commit.

    Without a `ref` it is the newest commit of the repository's main branch. Submodules come along. Raises
    `PackError` with what a person can do about it, and leaves the folder for the caller to remove.
    """
    check_git()
    name = repository.name
    fetching.reporter(TransferStarted(name, redact(repository.url), None))
    growth = Growth(
        folder, name, fetching.limits, lambda size: fetching.reporter(TransferAdvanced(name, size))
    )
    try:
        commit = _check_out(repository, ref, folder, fetching, growth)
        _bring_submodules(repository, folder, fetching, growth)
        clean_tree(folder)
        size = growth.check()
    except PackError as error:
        fetching.reporter(TransferEnded(name, 0, str(error)))
        raise
    fetching.reporter(TransferEnded(name, size))
    return commit


def _check_out(
    repository: Repository, ref: str | None, folder: Path, fetching: Fetching, watch: Callable[[], None]
) -> str:
    def git(*arguments: str, protocols: str = "") -> str:
        return run_git(
            arguments, folder, fetching.limits, protocols=protocols, cancel=fetching.cancel, watch=watch
        ).strip()

    folder.mkdir(parents=True, exist_ok=True)
    git("init", "--quiet", "--template=")
    git("remote", "add", "--", "origin", repository.url)
    commit = _fetch(git, repository, ref, fetching)
    try:
        git("checkout", "--quiet", "--force", "--detach", commit)
    except GitFailed as error:
        raise PackError(f"{repository.name} cannot be checked out: {error}") from error
    (folder / ".git" / "FETCH_HEAD").unlink(missing_ok=True)  # it names the mirror
    return commit


def _fetch(git: Callable[..., str], repository: Repository, ref: str | None, fetching: Fetching) -> str:
    """Fetch from the first source that has the commit; its full name."""
    failures: list[PackError] = []
    for source in sources(repository, ref, fetching.rules):
        warning = insecure(source)
        if warning is not None:
            fetching.reporter(warning)
        if failures:
            fetching.reporter(Warned(str(failures[-1]), f"trying {_place(source)}"))
        try:
            return _fetch_from(git, source, ref)
        except GitFailed as error:
            failures.append(_explain(error, source, repository, ref))
    raise (
        failures[0]
        if len(failures) == 1
        else PackError("; ".join(dict.fromkeys(map(str, failures))), hint=failures[0].hint)
    )


def _fetch_from(git: Callable[..., str], source: str, ref: str | None) -> str:
    protocols = _protocols(source)
    options = ("--quiet", "--force", "--no-tags", "--no-recurse-submodules")
    try:
        git("fetch", *options, "--depth=1", "--", source, ref or "HEAD", protocols=protocols)
        commit = git("rev-parse", "--verify", "--quiet", "FETCH_HEAD^{commit}")
    except GitFailed as error:
        by_name = is_commit(ref) or (ref is not None and _SHORT_COMMIT.match(ref))
        if ref is None or not by_name or not _says(error, *_NOT_BY_NAME):
            raise
        refs = (_HERE, "+refs/tags/*:refs/tags/*")
        git("fetch", *options, "--", source, *refs, protocols=protocols)
        with suppress(GitFailed):
            return git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}")
        raise error from None
    if is_commit(ref) and ref is not None and commit.lower() != ref.lower():
        raise GitFailed(f"{_place(source)} gave the commit {commit} for {ref}", stderr="")
    return commit


def _bring_submodules(
    repository: Repository, folder: Path, fetching: Fetching, watch: Callable[[], None]
) -> None:
    """Submodules, and theirs, each at the commit that is recorded for it."""
    waiting: list[tuple[Repository, Path, int]] = [(repository, folder, 0)]
    count = 0
    while waiting:
        parent, place, depth = waiting.pop()
        found = read_submodules(parent, place, fetching.limits)
        for path in found.undeclared:
            words = f"{path} is a submodule that {parent.name} does not declare; it stays empty"
            fetching.reporter(Warned(words))
        for submodule in found.declared:
            count += 1
            if count > fetching.limits.submodules or depth >= fetching.limits.submodule_depth:
                raise PackError(f"{repository.name} has more submodules than a pack may have")
            _bring_one(submodule, fetching, watch)
            waiting.append((submodule.repository, submodule.place, depth + 1))


def _bring_one(submodule: Submodule, fetching: Fetching, watch: Callable[[], None]) -> None:
    try:
        _check_out(submodule.repository, submodule.commit, submodule.place, fetching, watch)
    except PackError as error:
        raise PackError(f"submodule {submodule.path}: {error}", hint=error.hint) from error


def sources(repository: Repository, ref: str | None, rules: Sequence[Mirror]) -> list[str]:
    """The addresses to ask, in order. Mirrors that nobody named are asked for full commits alone."""
    if repository.scheme not in ("https", "http"):
        return [repository.url]
    return candidates([repository.url], rules, checksum=is_commit(ref))


def _protocols(source: str) -> str:
    """What git may speak with a source. The user's own git may ask for https addresses over ssh."""
    if source.startswith("file:"):
        return "file"
    return "http:https:ssh" if source.startswith("http:") else "https:ssh"


def _place(source: str) -> str:
    return host(source) if source.startswith("http") else source


def _says(error: GitFailed, *words: str) -> bool:
    said = f"{error} {error.facts.get('stderr', '')}".lower()
    return any(word in said for word in words)


def _explain(error: GitFailed, source: str, repository: Repository, ref: str | None) -> PackError:
    """A sentence for what git said."""
    place, name = _place(source), redact(repository.url)
    for said, message, hint in _MEANINGS:
        if _says(error, *said):
            if hint is _LOOK_AT_REFS and ref is None:
                return PackError(f"{name} is empty")
            here = repository.scheme == "file" and hint is not _LOOK_AT_REFS
            words = message.format(place=place, name=name, ref=ref, error=error)
            return PackError(words, hint="look at the repository there" if here else hint)
    return PackError(f"git could not fetch {name} from {place}: {error}")
