"""What is written down of a change: where each pack came from, and which packages are there for packs."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, replace
from datetime import UTC, datetime

from comfykit.home import Home
from comfykit.packs.environment import Installed
from comfykit.packs.installed import (
    PACKAGES,
    RECORDS,
    Pack,
    Record,
    list_packs,
    read_packages,
    read_records,
    render_packages,
    render_records,
    signature_of,
)
from comfykit.packs.layout import state_folder
from comfykit.packs.transaction import Transaction
from comfykit.services.pack_plans import Plan, Step
from comfykit.services.pack_scripts import scripts_of


def write_records(
    transaction: Transaction, home: Home, plan: Plan, tested: Collection[str], *, run_scripts: bool
) -> None:
    """Write what is known of each pack that is there now; `tested` are those that could be imported."""
    steps = {step.name: step for step in plan.steps}
    known = read_records(home)
    records: Mapping[str, Record] = {
        pack.name: record
        for pack in list_packs(home)
        if (record := _record(pack, known.get(pack.name), steps.get(pack.name), run_scripts=run_scripts))
    }
    records = {
        name: replace(record, imports="") if name in tested else record for name, record in records.items()
    }
    transaction.write(state_folder(home) / RECORDS, render_records(records))


def write_packages(transaction: Transaction, home: Home, before: Installed, after: Installed) -> None:
    """Write which packages of the environment came for packs: those of before, and what is new."""
    added = {name for name in after.distributions if name not in before.distributions}
    ours = (read_packages(home, before.prefix) | added) & set(after.distributions)
    path = state_folder(home) / PACKAGES
    if ours or path.is_file():
        transaction.write(path, render_packages(home, before.prefix, ours))


def _record(pack: Pack, known: Record | None, step: Step | None, *, run_scripts: bool) -> Record | None:
    """What is kept of a pack after a change; None for one that comfykit did not bring."""
    if step is None or not step.changes:
        return known
    record = step.record or known
    if step.staged is not None and step.record is None and step.staged.origin.url:
        origin = {key: value for key, value in asdict(step.staged.origin).items() if key != "name"}
        record = Record(
            **origin,
            tree=step.staged.tree,
            scripts=run_scripts and bool(scripts_of(pack.name, pack.path)),
            installed=datetime.now(UTC).isoformat(timespec="seconds"),
        )
    return record and replace(record, signature=signature_of(pack.path))
