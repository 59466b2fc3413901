"""Changes an environment, whole or not at all, and takes changes back.

Everything is fetched and built first, into a folder beside the environment. Then a journal is written of what
the change will touch, then uv installs from its cache, then the result is compared with what was promised.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from packaging.utils import canonicalize_name

from comfykit.errors import PackError
from comfykit.events import PackStep, Reporter, Warned, silent
from comfykit.packs import journal as journals
from comfykit.packs.environment import Environment, Installed, applicable, core, look
from comfykit.packs.one_choice import standing_for
from comfykit.packs.resolution import Resolution
from comfykit.packs.staged_packages import Incoming, check_files, stage_packages
from comfykit.packs.uv_tool import Sources, run_uv

_STAGED = "staged-"
_SHOWN = 4


def apply(
    resolution: Resolution,
    environment: Environment,
    reporter: Reporter = silent,
    *,
    keep_all: bool = False,
) -> None:
    """Install a resolution; raises `PackError` and leaves everything as it was where that fails.

    With `keep_all` what `restore` needs is kept of every package, also of those that the resolution leaves
    alone: for when scripts of packs run afterwards, which may do anything.
    """
    if resolution.conflicts:
        raise PackError(
            f"packs disagree, nothing was installed: {resolution.conflicts[0].message}",
            hint=resolution.conflicts[0].suggestion or None,
        )
    with _held(environment, reporter) as (installed, lock):
        if installed.frozen() != dict(resolution.before):
            raise PackError(
                f"what is installed in {installed.prefix} has changed since it was looked at",
                hint="do it again",
            )
        changed = {change.name for change in resolution.changes}
        kept = set(installed.distributions) if keep_all else changed
        change = _Change(environment, installed, resolution.sources, reporter, lock)
        change.make(resolution.pins, resolution.removed, changed, kept, resolution.after())


def restore(
    before: Mapping[str, str],
    environment: Environment,
    reporter: Reporter = silent,
    *,
    sources: Sources | None = None,
) -> None:
    """Make the environment's list of packages what it was: added ones go, changed and removed ones come back.

    What the last change replaced comes back from what was kept of it, everything else from uv's cache or an
    index. Raises `PackError` where a package cannot be had any more, and then changes nothing more.
    """
    before = dict(before)
    with _held(environment, reporter) as (installed, lock):
        folder = journals.store(installed)
        last = journals.read(folder)
        if installed.frozen() != before and last is not None and dict(last.before) == before:
            now = installed.frozen()
            differing = [name for name in now if now[name] != before.get(name)]
            journals.undo(
                folder, last, (file for name in differing for file in installed.distributions[name].files)
            )
        here = look(environment, files=True)
        now = here.frozen()
        if now == before:
            return
        pins = [_pin(name, value) for name, value in before.items() if now.get(name) != value]
        gone = tuple(name for name in now if name not in before)
        changed = {name for name in {*now, *before} if now.get(name) != before.get(name)}
        change = _Change(environment, here, sources or Sources(), reporter, lock)
        change.make(pins, gone, changed, changed, before)


def recover(environment: Environment, reporter: Reporter = silent) -> bool:
    """Undo a change that was cut off, where there is one; whether there was."""
    folder = journals.store(look(environment))
    last = journals.read(folder)
    if last is None or last.is_done:
        return False
    with _held(environment, reporter):
        return True


@contextmanager
def _held(environment: Environment, reporter: Reporter) -> Iterator[tuple[Installed, int]]:
    """What is installed, with the environment's lock held and a change that was cut off undone."""
    installed = look(environment)
    folder = journals.store(installed)

    def waiting() -> Iterator[None]:
        reporter(Warned(f"another process changes the packages of {installed.prefix}; waiting for it"))
        yield

    try:
        with journals.locked(folder, waiting()) as lock:
            for left in folder.glob(f"{_STAGED}*"):
                shutil.rmtree(left, ignore_errors=True)
            last = journals.read(folder)
            if last is not None and not last.is_done:
                reporter(Warned("an installation of packages was cut off; it is undone"))
                journals.undo(folder, last)
            yield look(environment, files=True), lock
    except OSError as error:
        raise PackError(f"the packages of {installed.prefix} cannot be changed ({error})") from error


class _Change:
    """One change of an environment whose lock is held."""

    def __init__(
        self,
        environment: Environment,
        installed: Installed,
        sources: Sources,
        reporter: Reporter,
        lock: int,
    ) -> None:
        self.environment = environment
        self.installed = installed
        self.sources = sources
        self.reporter = reporter
        self.lock = lock
        self.folder = journals.store(installed)

    def make(
        self,
        pins: Sequence[str],
        removed: Collection[str],
        changed: Collection[str],
        kept: Collection[str],
        after: Mapping[str, str],
    ) -> None:
        """Install pins and remove packages, so that `after` is what is installed; all of it or nothing."""
        self._check_records(changed)
        with tempfile.TemporaryDirectory(prefix=_STAGED, dir=self.folder) as staged:
            listed = Path(staged) / "pins.txt"
            listed.write_text("".join(f"{pin}\n" for pin in pins), encoding="utf-8")
            incoming = Incoming()
            coming = [f"{name} {after[name]}" for name in sorted(changed) if name in after]
            if pins:
                self.reporter(PackStep("", f"fetching and building {_few(coming)}"))
                incoming = stage_packages(
                    listed, Path(staged), self.environment, self.sources, self.installed
                )
                check_files(incoming, self.installed, changed, core(self.installed), self.reporter)
            journal = journals.begin(self.folder, self.installed, kept, incoming.files)
            try:
                if removed:
                    self.reporter(PackStep("", f"removing {_few(sorted(removed))}"))
                if pins:
                    self.reporter(PackStep("", f"installing {_few(coming)}"))
                self._install(listed if pins else None, removed)
                self._check(after, incoming)
            except BaseException:
                journals.undo(self.folder, journal)
                raise
            journals.end(self.folder, journal)

    def _install(self, listed: Path | None, removed: Collection[str]) -> None:
        if removed:
            self._run(("uninstall",), sorted(removed))
        if listed is not None:
            self._run(("install",), ["--no-deps", "-r", listed])

    def _run(self, command: tuple[str, ...], arguments: Sequence[str | Path]) -> None:
        ended = run_uv(command, self.environment, self.sources, arguments, holding=self.lock)
        if ended.code:
            raise PackError(
                f"packages could not be {command[0]}ed; everything is as it was", output=ended.stderr,
                hint=ended.stderr.strip() or None,
            )  # fmt: skip

    def _check_records(self, changed: Collection[str]) -> None:
        """A package of which nobody wrote down its files can be neither removed nor brought back."""
        for name in sorted(changed):
            found = self.installed.distributions.get(name)
            if found is not None and not found.files:
                raise PackError(
                    f"{name} {found.version} would be changed, and there is no list of its files",
                    hint="it came with the system or conda: change it there, or reinstall it with "
                    f"pip install --force-reinstall {name}=={found.version}",
                )

    def _check(self, after: Mapping[str, str], incoming: Incoming) -> None:
        """Compare what is installed now with what was promised."""
        now = look(self.environment)
        have = now.frozen()
        wrong = [
            name
            for name in sorted({*have, *after})
            # The form of an address may differ: a branch was asked for, and a commit came.
            if have.get(name) != after.get(name)
            and not ("/" in have.get(name, "") and "/" in after.get(name, ""))
        ]
        if wrong:
            told = ", ".join(f"{name} is {have.get(name, 'missing')}" for name in wrong)
            raise PackError(f"other packages came than were resolved ({told}); everything is as it was")
        for name in sorted(incoming.names):
            found = now.distributions[name]
            for requirement in applicable(found.requires, now.markers):
                wanted = canonicalize_name(requirement.name)
                if standing_for(wanted, now.distributions) not in now.distributions:
                    self.reporter(
                        Warned(f"{name} {found.version} needs {requirement}, which is not installed")
                    )


def _few(names: Sequence[str]) -> str:
    """Some of many names, for a line of progress."""
    shown = names if len(names) <= _SHOWN + 1 else [*names[:_SHOWN], f"{len(names) - _SHOWN} more"]
    return ", ".join(shown)


def _pin(name: str, value: str) -> str:
    if value.startswith("-e "):
        return value
    return f"{name} @ {value}" if "/" in value else f"{name}=={value}"
