"""One change of a home's packs, whatever it is: planned, shown, carried out, or taken back.

Installing, updating, removing, switching on and off, going back to a snapshot and `sync` all say what is to
become of each pack (`Step`) and leave the rest to a `Workbench`: requirements of all packs resolved together,
a snapshot, packs and packages put in place, scripts that were allowed, an import test, the lock.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

from comfykit.errors import PackError
from comfykit.events import PackStep, Reporter, Warned, silent
from comfykit.fetch.index import open_index
from comfykit.packs.environment import Environment, Installed, look
from comfykit.packs.index import class_index, remember
from comfykit.packs.installed import (
    list_packs,
    path_of,
    read_packages,
)
from comfykit.packs.lock import Lock, lock_path, read_lock, render_lock
from comfykit.packs.probing import Probe
from comfykit.packs.requirements import Wanted, wanted_by
from comfykit.packs.resolution import Resolution
from comfykit.packs.resolve import resolve
from comfykit.packs.snapshots import next_number, prune_snapshots, take_snapshot
from comfykit.packs.spec import Spec
from comfykit.packs.staging import Staged, stage
from comfykit.packs.transaction import (
    Packages,
    Transaction,
    holding,
    is_held,
    is_unfinished,
)
from comfykit.services.pack_hashes import with_hashes
from comfykit.services.pack_imports import import_packs
from comfykit.services.pack_lock import hashes_of, lock_of
from comfykit.services.pack_packages import change_packages, without_orphans
from comfykit.services.pack_plans import (
    DISABLE,
    ENABLE,
    REMOVE,
    REPLACE,
    Allow,
    Done,
    Plan,
    Step,
    disagreement,
    refuse_harm,
    sources_for,
)
from comfykit.services.pack_records import write_packages, write_records
from comfykit.services.pack_recovery import putting_back, take_back_interrupted
from comfykit.services.pack_scripts import Script, scripts_of
from comfykit.settings import Settings


class Workbench:
    """A home whose packs nobody else changes meanwhile. Get one from `changing`."""

    def __init__(self, settings: Settings, environment: Environment, reporter: Reporter) -> None:
        self.settings = settings
        self.home = settings.home
        self.environment = environment
        self.reporter = reporter
        self.packs = list_packs(self.home)
        self._transaction: Transaction | None = None

    @property
    def transaction(self) -> Transaction:
        """The change, begun when it is first asked for."""
        if self._transaction is None:
            self._transaction = Transaction(self.home, str(next_number(self.home)))
        return self._transaction

    def stage(self, spec: Spec, cancel: threading.Event | None = None) -> Staged:
        """Fetch a pack into this change's own folder."""
        self.reporter(PackStep(spec.name or spec.text, "fetching"))
        return stage(spec, self.transaction.staging, self.settings, self.reporter, cancel=cancel)

    def wanted(self, steps: Sequence[Step]) -> tuple[Wanted, ...]:
        """What the packs that are on after these steps ask for."""
        after = {pack.name: pack.path for pack in self.packs if pack.enabled}
        for step in steps:
            after.pop(step.name, None)
            if step.enabled and step.action != REMOVE:
                if step.staged:
                    after[step.name] = step.staged.folder
                elif step.before:
                    after[step.name] = step.before.path
        return tuple(replace(wanted_by(after[name]), pack=name) for name in sorted(after))

    def plan(
        self,
        what: str,
        steps: Sequence[Step],
        *,
        resolve_packages: bool = True,
        allow: Allow = lambda named: False,
    ) -> Plan:
        """What these steps come to, with the packages that they change; nothing is changed yet.

        Without `resolve_packages` the environment stays as it is. `allow` is asked about package indexes that
        packs name. Raises `PackError` where packages cannot be looked up, or are known to do harm; conflicts
        are in the plan.
        """
        wanted = self.wanted(steps)
        resolution = None
        if resolve_packages and any(step.brings or not step.changes for step in steps):
            sources = sources_for(wanted, allow)
            self.reporter(PackStep("", "resolving what packs need"))
            resolution = resolve(wanted, self.environment, sources=sources)
            refuse_harm(resolution)
        elif resolve_packages and any(step.changes for step in steps):
            resolution = without_orphans(wanted, self.home, look(self.environment))
        scripts = [
            script
            for step in steps
            if step.staged is not None and step.enabled
            for script in scripts_of(step.name, step.staged.folder)
        ]
        return Plan(what, tuple(steps), wanted, resolution, tuple(scripts))

    def carry_out(
        self,
        plan: Plan,
        *,
        run_scripts: bool = False,
        further: Callable[[], object] | None = None,
    ) -> Done:
        """Do it, all or nothing. Raises `PackError` with the reason, and everything is as it was then.

        `further` is called before anything is written down, and stops the change with what it raises.
        """
        if plan.resolution is not None and plan.resolution.conflicts:
            raise disagreement(plan.resolution)
        installed = look(self.environment)
        lock = lock_path(self.home)
        take_snapshot(
            self.transaction.snapshot,
            plan.what,
            self.packs,
            python=self.environment.python,
            packages=installed.frozen(),
            ours=read_packages(self.home, installed.prefix),
            lock=lock.read_text(encoding="utf-8") if lock.is_file() else None,
        )
        for step in plan.steps:
            self._place(step)
        for model in plan.models:
            self.transaction.replace(model, None)
        for number, (kept, place) in enumerate(plan.back):
            copy = self.transaction.staging / f"model-{number}"
            os.link(kept, copy, follow_symlinks=False)
            self.transaction.replace(place, copy)
        scripts = [script for script in plan.scripts if script.runs_now] if run_scripts else []
        if plan.changes or scripts:
            self._change_packages(plan, scripts, installed)
        imports = self._try_imports(plan) if plan.test_imports else {}
        if further is not None:
            further()
        after = look(self.environment) if plan.changes or scripts else installed
        self._write(plan, imports, installed, after, run_scripts=run_scripts)
        number = int(self.transaction.snapshot.name)
        self.keep()
        prune_snapshots(self.home)
        class_index(self.home)
        for name, probe in imports.items():
            remember(self.home, name.removesuffix(".py"), probe)
        return Done(plan, number, imports)

    def keep(self) -> None:
        """Let what was done stay; what is done from here on is another change."""
        self.transaction.commit()
        self._transaction = None

    def end(self) -> None:
        """Take back what was begun and not carried out."""
        if self._transaction is not None:
            transaction, self._transaction = self._transaction, None
            transaction.roll_back(putting_back(self.reporter))

    def _place(self, step: Step) -> None:
        """Move packs to where they belong."""
        if step.before is not None and step.action in (REPLACE, REMOVE):
            self.transaction.replace(step.before.path, None)
        place = path_of(self.home, step.name, enabled=step.enabled)
        if step.staged is not None:
            self.transaction.replace(place, step.staged.folder)
        elif step.action in (ENABLE, DISABLE) and step.before is not None:
            if os.path.lexists(place):
                raise PackError(f"{place} is in the way", hint="remove one of the two")
            self.transaction.rename(step.before.path, place)

    def _change_packages(self, plan: Plan, scripts: Sequence[Script], installed: Installed) -> None:
        before = Packages(str(self.environment.python), installed.frozen())
        self.transaction.changes_packages(before)
        resolution = plan.resolution or Resolution(before=before.before)
        change_packages(resolution, scripts, self.home, self.environment, installed, self.reporter)

    def _try_imports(self, plan: Plan) -> dict[str, Probe]:
        """Import packs in a home of their own, so that nothing they write while they do lands in this one."""
        new = {step.name for step in plan.steps if step.brings}
        others = {
            pack.name for pack in self.packs if pack.enabled and pack.record and pack.record.imports == ""
        }
        moved = any(change.before is not None for change in plan.changes)
        steps = {step.name: step for step in plan.steps}
        still = {name for name in others if name not in steps or steps[name].enabled}
        names = sorted(new | (still if moved else set()))
        return import_packs(self.home, names, self.transaction.staging, self.environment, self.reporter)

    def _write(
        self,
        plan: Plan,
        imports: Mapping[str, Probe],
        installed: Installed,
        after: Installed,
        *,
        run_scripts: bool,
    ) -> None:
        """Records, packages that are there for packs, the lock."""
        write_records(self.transaction, self.home, plan, imports, run_scripts=run_scripts)
        write_packages(self.transaction, self.home, installed, after)
        if plan.lock_text is not None:
            self.transaction.write(lock_path(self.home), plan.lock_text)
        elif plan.lock is None:
            self.transaction.write(lock_path(self.home), render_lock(self._lock(plan, after)))

    def _lock(self, plan: Plan, after: Installed) -> Lock:
        resolution = plan.resolution
        lock = lock_of(
            self.home,
            list_packs(self.home),
            after,
            plan.wanted,
            hashes=hashes_of(resolution.pins) if resolution else {},
            index=open_index(self.home),
            indexes=resolution.sources.indexes if resolution else (),
            before=read_lock(self.home),
        )
        return with_hashes(lock, self.environment)


@contextmanager
def changing(
    settings: Settings, *, environment: Environment | None = None, reporter: Reporter = silent
) -> Iterator[Workbench]:
    """Hold a home and work on its packs; what is not carried out is taken back at the end.

    Another process that does the same is waited for. What a killed one left behind is taken back first.
    """
    environment = environment or Environment()

    def waiting() -> None:
        reporter(Warned("another process changes the packs of this home or its packages; waiting for it"))

    with holding(settings.home, environment.python.parent, waiting=waiting):
        take_back_interrupted(settings.home, reporter)
        work = Workbench(settings, environment, reporter)
        try:
            yield work
        except OSError as error:
            raise PackError(
                f"the packs of {settings.home.root} could not be changed ({error}); everything is as it was",
                hint="is there room, and may you write there?",
            ) from error
        finally:
            work.end()


def finish_interrupted(settings: Settings, reporter: Reporter = silent) -> None:
    """Take back what a killed process left of a change; a change that is under way is left alone."""
    if is_unfinished(settings.home) and not is_held(settings.home):
        with changing(settings, reporter=reporter):
            pass
