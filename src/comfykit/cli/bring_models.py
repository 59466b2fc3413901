"""Bringing models as `install-models` and `models add` show it: plan, question, progress, table."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO

from comfykit.cli.errors import FAILED, OK, PARTIAL
from comfykit.cli.output import Output
from comfykit.cli.rates import size_words, speed_words

if TYPE_CHECKING:
    from comfykit.fetch.space import Space
    from comfykit.services.install_models import Outcome
    from comfykit.services.plan_models import Step
    from comfykit.settings import Settings

# Less than this is fetched without a question, also where somebody could answer it.
ASK_ABOVE_BYTES = 2 * 1024**3


@dataclass(frozen=True, slots=True)
class Order:
    """What a person asked for."""

    manifests: Sequence[str]
    stdin: BinaryIO
    flags: Mapping[str, object] = field(default_factory=dict)
    only: Sequence[str] = ()
    dry_run: bool = False
    yes: bool = False


def bring(order: Order, output: Output) -> int:
    """Plan, ask where that is due, and fetch; the exit code."""
    from comfykit import settings as settings_module
    from comfykit.errors import Interrupted

    settings = settings_module.resolve(order.flags)
    try:
        return _bring(order, settings, output)
    except KeyboardInterrupt as error:
        raise Interrupted("interrupted; run the same command again to go on") from error


def _bring(order: Order, settings: Settings, output: Output) -> int:
    from comfykit.cli.confirm import is_attended
    from comfykit.cli.model_lock import renew_lock
    from comfykit.cli.transfers import plain_reporter, reporter_for
    from comfykit.fetch.guide import open_guide
    from comfykit.fetch.hf_cache import cache_from
    from comfykit.fetch.index import open_index
    from comfykit.services import install_models as service
    from comfykit.services import plan_models as planning
    from comfykit.services.model_sizes import open_sizes

    guide, index = open_guide(settings, os.environ), open_index(settings.home)
    steps = planning.plan_models(
        settings.home,
        order.manifests,
        only=order.only,
        guide=guide,
        stdin=order.stdin,
        reporter=plain_reporter(output).report,
        index=index,
        cache=cache_from(os.environ),
    )
    if order.dry_run or is_attended(output) or planning.worth_asking(steps):
        with open_sizes() as ask:
            steps = planning.with_sizes(steps, ask)
    if order.dry_run or output.as_json:
        for step in steps:
            _show_step(step, output)
    if order.dry_run:
        return _end_dry_run(steps, output)
    planning.check_space(steps)
    missing = [step for step in steps if planning.is_missing(step)]
    if missing and not order.yes and is_attended(output) and not _agreed(missing, output):
        output.say("nothing was fetched")
        return FAILED
    sizes = [step.size for step in missing if step.size is not None]
    with reporter_for(output) as progress:
        progress.expect(len(missing), sum(sizes) if len(sizes) == len(missing) else None)
        outcomes = service.install_models(
            settings,
            steps,
            guide=guide,
            reporter=progress.report,
            on_outcome=lambda outcome: _record(outcome, output),
            index=index,
        )
    came = [str(outcome.entry.target) for outcome in outcomes if outcome.status != "failed"]
    renew_lock(settings, output, came=came)
    return _end(outcomes, output)


def _agreed(missing: Sequence[Step], output: Output) -> bool:
    """The one question, where there is much to fetch."""
    from comfykit.cli.confirm import confirm
    from comfykit.services.plan_models import space_for

    known = sum(space.needed for space in space_for(missing))
    if known < ASK_ABOVE_BYTES:
        return True
    for space in space_for(missing):
        output.say(_space_words(space))
    return confirm(f"fetch {len(missing)} files?", default=True)


def _show_step(step: Step, output: Output) -> None:
    """One line of the plan."""
    from comfykit.fetch.urls import redact
    from comfykit.services.plan_models import action

    urls = [redact(address) for address in step.addresses]
    place = step.copy.place if step.copy else None
    note = step.presence.note
    output.record(
        event="plan",
        file=step.entry.path,
        action=action(step),
        urls=urls,
        sha256=step.entry.sha256,
        size=step.size,
        copy=place,
        path=step.presence.path,
        note=note or None,
        manifest=step.entry.place,
    )
    told = {"fetch": " ".join(urls), "link": place}.get(action(step)) or note
    size = "" if step.size is None else f"  {size_words(step.size)}"
    output.line(f"{action(step):8}  {step.entry.path}{size}  {told}")


def _end_dry_run(steps: Sequence[Step], output: Output) -> int:
    from comfykit.services.plan_models import action, space_for

    names = ("fetch", "link", "there", "conflict")
    counts = {name: sum(action(step) == name for step in steps) for name in names}
    found = space_for(steps)
    for space in found:
        output.record(
            event="space",
            folder=space.folder,
            needed=space.needed,
            free=space.free,
            files=space.files,
            unknown=space.unknown,
        )
        output.say(_space_words(space))
    complete = not counts["conflict"] and not any(space.is_short for space in found)
    output.record(event="done", status="success" if complete else "error", dry_run=True, **counts)
    output.say(
        f"{counts['fetch']} to fetch, {counts['link']} to link, {counts['there']} there, "
        f"{counts['conflict']} in the way"
    )
    return OK if complete else FAILED


def _space_words(space: Space) -> str:
    """What goes to a file system and whether it fits."""
    files = "1 file" if space.files == 1 else f"{space.files} files"
    more = f" and {space.unknown} of unknown size" if space.unknown else ""
    short = ": too few" if space.is_short else ""
    return (
        f"{files} to {space.folder}: {size_words(space.needed)}{more}, {size_words(space.free)} free{short}"
    )


def _record(outcome: Outcome, output: Output) -> None:
    output.record(
        event="file",
        file=outcome.entry.path,
        status=outcome.status,
        note=outcome.note,
        size=outcome.size,
        host=outcome.host,
        sha256=outcome.sha256,
        seconds=round(outcome.seconds, 3),
        hint=outcome.hint,
        code=outcome.code,
    )


def _end(outcomes: Sequence[Outcome], output: Output) -> int:
    """The table of what became of each file, and the sums."""
    width = max((len(outcome.entry.path) for outcome in outcomes), default=0)
    for outcome in outcomes:
        size = size_words(outcome.size) if outcome.status != "failed" else ""
        fetched = outcome.status == "fetched" and outcome.seconds > 0
        speed = speed_words(outcome.size / outcome.seconds) if fetched else ""
        source = f" from {outcome.host}" if outcome.host else ""
        output.line(
            f"{outcome.status:8}  {outcome.entry.path:{width}}  {size:>9}  {speed:>11}  "
            f"{outcome.note}{source}".rstrip()
        )
        if outcome.hint and not output.as_json:
            output.say(f"  hint: {outcome.hint}")
    names = ("fetched", "linked", "there", "failed")
    counts = {name: sum(outcome.status == name for outcome in outcomes) for name in names}
    complete = not counts["failed"]
    output.record(event="done", status="success" if complete else "error", **counts)
    output.say(
        ", ".join(f"{count} {name}" for name, count in counts.items() if count or name != "linked"),
        style="green" if complete else "bold red",
    )
    if complete:
        return OK
    return FAILED if counts["failed"] == len(outcomes) else PARTIAL
