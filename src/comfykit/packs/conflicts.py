"""Why packs cannot be installed together: which ones disagree, about what, and what would help.

uv says that there is no solution. Which packs are to blame, and which of them would have to give way, is
found by trying: a set of packs is one conflict if it cannot be resolved, and can be once any is left out.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from packaging.utils import canonicalize_name

from comfykit.errors import PackError
from comfykit.packs.overrule import Asked
from comfykit.packs.requirement_lines import Requirement
from comfykit.packs.resolution import Conflict
from comfykit.packs.solver import PackLines, Refusal, Solver

_MOST = 5  # conflicts that are looked for, one after the other
_NETWORK = re.compile(
    r"error sending request|dns error|failed to lookup address|Could not connect|operation timed out|"
    r"HTTP status (server|client) error|network was disabled|Network connectivity is disabled"
)
_ADDRESS = re.compile(r"https?://[^\s`)>]+|file://[^\s`)>]+")
_NEEDS = re.compile(
    r"(?P<who>[^\s,`]+) depends? on `?(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)"
    r"(?P<versions>(?:,?[<>=!~]+[^\s,`]+)*)"
)
_REPOSITORY = re.compile(
    r"Git operation failed|failed to (?:fetch|clone)|failed to find branch", re.IGNORECASE
)
_BUILD = re.compile(r"Failed to (?:download and )?build[^`]*`(?P<what>[^`]+)`")


def explain(solver: Solver, asked: Asked, refusal: Refusal, kept: Collection[str]) -> tuple[Conflict, ...]:
    """Every conflict that is found by leaving out one pack of each; at least one.

    Raises `PackError` where packages cannot be looked up, which is nobody's conflict.
    """
    search = _Search(solver, asked, frozenset(kept))
    packs, found = list(asked.packs), list[Conflict]()
    current: Refusal | None = refusal
    while current is not None and len(found) < _MOST:
        search.check_network(current)
        guilty, account = search.smallest(packs, current)
        found.append(search.describe(packs, guilty, account))
        packs = [lines for lines in packs if lines is not guilty[-1]]
        current = search.refusal(packs)
    return tuple(found)


@dataclass(frozen=True, slots=True)
class _Search:
    """Tries sets of packs."""

    solver: Solver
    asked: Asked
    kept: frozenset[str]

    def refusal(self, packs: Sequence[PackLines]) -> Refusal | None:
        """Why these packs cannot be installed together; None where they can."""
        answer = self.solver.plan(packs)
        return answer if isinstance(answer, Refusal) else None

    def check_network(self, refusal: Refusal) -> None:
        """Raise `PackError` where an index does not answer; a pack's own address may be the pack's fault."""
        if not _NETWORK.search(refusal.text) or self._with_address(refusal):
            return
        raise PackError(
            f"packages cannot be looked up: {_last_cause(refusal.text)}",
            hint="look at the network, or name an index in UV_DEFAULT_INDEX",
        )

    def smallest(self, packs: Sequence[PackLines], refusal: Refusal) -> tuple[list[PackLines], Refusal]:
        """The fewest packs that cannot be resolved, and why; those that uv names are tried first."""
        named = self._with_address(refusal) or refusal.packs
        guilty = [lines for lines in packs if lines.pack in named]
        account = self.refusal(guilty) if guilty and len(guilty) < len(packs) else None
        if account is None:
            guilty, account = list(packs), refusal
        for lines in list(guilty):
            fewer = [other for other in guilty if other is not lines]
            if fewer and (why := self.refusal(fewer)) is not None:
                guilty, account = fewer, why
        return guilty, account

    def describe(self, packs: Sequence[PackLines], guilty: Sequence[PackLines], refusal: Refusal) -> Conflict:
        """The conflict in words, with what would solve it."""
        names = tuple(lines.pack for lines in guilty)
        if (gone := self._unreachable(names, refusal)) is not None:
            why = _last_cause(refusal.text)
            message = f"{gone.pack} wants {gone.text} ({gone.where}), which cannot be fetched: {why}"
            ways = f"{self._suggestion(packs, guilty, ())}; or bring {gone.pack} with --no-deps"
            ways += ", and what it needs by hand"
            return Conflict(names, gone.name or gone.text, message, ways, refusal.text)
        about, wants = self._about(guilty, refusal)
        return Conflict(
            names,
            about,
            self._message(names, about, wants, refusal),
            self._suggestion(packs, guilty, wants),
            refusal.text,
        )

    def _with_address(self, refusal: Refusal) -> tuple[str, ...]:
        """Packs that name an address that is in uv's account."""
        return tuple(dict.fromkeys(one.pack for one in self._at_addresses(refusal)))

    def _at_addresses(self, refusal: Refusal) -> list[Requirement]:
        """Requirements whose address is in uv's account, the one of its last lines first."""
        said = [address.rstrip(".,'") for address in _ADDRESS.findall(refusal.text)]
        return [
            requirement
            for address in dict.fromkeys(reversed(said))
            for requirements in self.asked.by_name.values()
            for requirement in requirements
            if requirement.url and address in requirement.url
        ]

    def _unreachable(self, names: tuple[str, ...], refusal: Refusal) -> Requirement | None:
        """The requirement of one of the packs that cannot be fetched; None where it is not that."""
        if not _REPOSITORY.search(refusal.text):
            return None
        return next((one for one in self._at_addresses(refusal) if one.pack in names), None)

    def _about(self, guilty: Sequence[PackLines], refusal: Refusal) -> tuple[str, list[Requirement]]:
        """The package that it is about, and what the packs themselves say of it.

        It is one that several of them name, else one of the core, else the one that uv's account has most
        versions of.
        """
        packs = {lines.pack for lines in guilty}
        said = _versions_said(refusal.text)
        wants = {
            name: [one for one in self._standing_for(name) if one.pack in packs]
            for name in (*said, *self.asked.by_name)
        }
        shared = [name for name, them in wants.items() if len({one.pack for one in them}) > 1]
        core = [name for name in said if name in self.kept]
        most = sorted(said, key=lambda name: -len(said[name]))
        direct = [name for name, them in wants.items() if them]
        named = [name for name in shared if name in said] or shared
        about = next(iter((*named, *core, *most, *direct)), "")
        return about, wants.get(about, [])

    def _standing_for(self, name: str) -> list[Requirement]:
        """Requirements on a package, or on those that it stands for."""
        return [
            requirement
            for other, requirements in self.asked.by_name.items()
            if self.asked.chosen.get(other, other) == self.asked.chosen.get(name, name)
            for requirement in requirements
        ]

    def _message(
        self, names: tuple[str, ...], about: str, wants: Sequence[Requirement], refusal: Refusal
    ) -> str:
        says = [f"{one.pack} wants {one.text} ({one.where})" for one in wants]
        who = " and ".join(names)
        if build := _BUILD.search(refusal.text):
            return f"{build['what']}, which {who} needs, cannot be built: {_last_cause(refusal.text)}"
        told = " and ".join(says if len(says) >= len(names) else _needs(about, refusal.text) or says)
        if len(names) > 1:
            return f"{who} disagree about {about}: {told}"
        if about in self.kept:
            version = self.solver.installed.version(about)
            return f"{who} cannot be installed beside {about} {version}, which comfykit needs: {told}"
        if re.search(rf"{re.escape(about)} was not found", refusal.text):
            return f"{told}, and no index has {about}"
        if missing := re.search(r"no version of (\S+?)[,.]?\s", refusal.text):
            return f"{told}, and there is no version {missing[1]}"
        return f"what {who} needs cannot be had: {_last_cause(refusal.text)}"

    def _suggestion(
        self, packs: Sequence[PackLines], guilty: Sequence[PackLines], wants: Sequence[Requirement]
    ) -> str:
        """What was tried and would help: leaving out one pack, or a looser pin."""
        enough = [
            lines.pack
            for lines in guilty
            if self.refusal([other for other in packs if other is not lines]) is None
        ]
        out = " or ".join(enough) or " or ".join(lines.pack for lines in guilty)
        ways = [f"leave out {out}" if enough else f"leave out {out}, and see the other conflicts"]
        for one in wants:
            if one.specifier and self._is_enough(packs if enough else guilty, one):
                ways.append(f"loosen {one.text!r} in {one.where}")
        return "; or ".join(ways)

    def _is_enough(self, packs: Sequence[PackLines], loosened: Requirement) -> bool:
        """Whether the packs can be resolved with one requirement freed from its versions."""
        free = [
            replace(
                lines,
                requirements=tuple(
                    self._freed(text, loosened) if lines.pack == loosened.pack else text
                    for text in lines.requirements
                ),
            )
            for lines in packs
        ]
        return self.refusal(free) is None

    def _freed(self, text: str, loosened: Requirement) -> str:
        """A line of a pack without its specifier, if it is the one to loosen."""
        name = self.asked.chosen.get(loosened.name or "", loosened.name or "")
        return name if text == loosened.renamed(name) else text


def _versions_said(text: str) -> dict[str, set[str]]:
    """The packages that others need by uv's account, each with the versions that are needed of it."""
    found: dict[str, set[str]] = {}
    for _, name, versions in _NEEDS.findall(text):
        found.setdefault(canonicalize_name(name), set()).add(versions.rstrip("."))
    return found


def _needs(about: str, text: str) -> list[str]:
    """What uv says of who needs a package: "beta==2.0 needs alpha==2.0"."""
    return list(
        dict.fromkeys(
            f"{who} needs {name}{versions.rstrip('.')}"
            for who, name, versions in _NEEDS.findall(text)
            if canonicalize_name(name) == about
        )
    )


def _last_cause(text: str) -> str:
    """The line of uv's account that says most: the last of an error's output, or its first cause."""
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("hint:")]
    errors = [line for line in lines if re.match(r"[A-Za-z_.]*(Error|Exception)\b", line)]
    causes = [line.removeprefix("cause:").strip() for line in lines if line.startswith("cause:")]
    told = [line.removeprefix("fatal:").strip() for line in lines if line.startswith("fatal:")]
    if errors or told:
        return errors[-1] if errors else told[0]
    return (
        causes[-1] if causes else (lines[-1].removeprefix("error:").strip() if lines else "uv said nothing")
    )
