"""`comfykit packs check` and `bisect`: what is wrong with a pack, and which pack it is."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from comfykit.cli.models_upkeep import counted
from comfykit.cli.options import HomeOption, JsonOption
from comfykit.cli.output import Output

if TYPE_CHECKING:
    from pathlib import Path

    from comfykit.services.check_packs import Checked


def check_command(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="PACK", help="Packs; without any, all that are on.")
    ] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what of packs works and what does not, and why: from their files, and by importing them.

    The exit code is 1 where one cannot be imported.
    """
    from comfykit.cli.recovery import recover_packs
    from comfykit.services.check_packs import check_pack
    from comfykit.services.packs import chosen_packs
    from comfykit.settings import resolve

    output, settings = Output(as_json=as_json), resolve({"home": home})
    recover_packs(settings, output)
    packs = chosen_packs(settings.home, names or [])
    checked = []
    for pack in packs:
        if names or pack.enabled:
            checked.append(check_pack(pack, settings.home))
            _show(checked[-1], output)
    good = all(one.is_good for one in checked)
    output.record(event="done", status="success" if good else "error", packs=len(checked))
    good_ones = sum(one.is_good for one in checked)
    output.say(f"{good_ones} of {counted(len(checked), 'pack')} can be imported")
    if not good:
        raise typer.Exit(1)


def _show(one: Checked, output: Output) -> None:
    output.record(
        event="pack",
        name=one.pack.name,
        imported=one.is_good,
        classes=list(one.classes),
        offered=list(one.offered),
        cause=one.cause,
        hint=one.hint,
        missing=list(one.missing),
        lacks=list(one.lacks),
        broken=dict(one.broken),
        unreadable=list(one.unreadable),
        problems=list(one.problems),
        warnings=list(one.warnings),
    )
    word = "ok" if one.is_good else "fails"
    classes = counted(len(one.offered), "class", "classes")
    output.line(f"{word:6}  {one.pack.name}  {len(one.classes)} of {classes}")
    if one.cause:
        output.line(f"        {one.cause}")
    if one.hint:
        output.say(f"  hint: {one.hint}")
    for name, why in one.broken.items():
        output.line(f"        {name}: {why}")
    if one.is_good and one.absent:
        output.line(f"        named in its files and not offered: {_some(one.absent)}")
    if one.missing:
        output.line(f"        not here, asked for while it was imported: {_some(one.missing)}")
    if one.lacks:
        output.line(f"        not here, used in functions: {_some(one.lacks)}")
    if one.unreadable:
        output.line(f"        no Python that can be read: {', '.join(one.unreadable)}")
    for problem in (*one.problems, *one.warnings):
        output.warn(f"{one.pack.name}: {problem}")


def _some(names: Sequence[str], most: int = 6) -> str:
    """The first of many names; `--json` has all."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{', '.join(names[:most])}{more}"


def bisect_command(
    command: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[-- COMMAND...]", help="Fails while the pack is on; without it, you are asked."
        ),
    ] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Find the pack that breaks something: half of them are switched off, tried, and so on.

    With a command, its exit code says whether all is well. In the end every pack is on again.
    """
    from comfykit.cli.confirm import confirm, is_attended
    from comfykit.cli.pack_plans import reporter_for
    from comfykit.errors import Interrupted, UsageError
    from comfykit.services.bisect_packs import bisect_packs
    from comfykit.services.pack_changes import changing
    from comfykit.settings import resolve

    output, settings = Output(as_json=as_json), resolve({"home": home})
    if not command and not is_attended(output):
        raise UsageError(
            "nobody is there to ask whether it works",
            hint="comfykit packs bisect -- COMMAND tries it by itself",
        )

    def is_good(names: Collection[str]) -> bool:
        output.say(f"on: {', '.join(names) or 'none'}")
        if command:
            good = _ends_well(command, settings.home.root)
        else:
            good = confirm("does it work now?", default=True)
        output.record(event="try", on=list(names), good=good)
        return good

    try:
        with changing(settings, reporter=reporter_for(output)) as work:
            found = bisect_packs(work, work.packs, is_good)
    except KeyboardInterrupt as error:
        raise Interrupted("interrupted; every pack is on again") from error
    output.record(event="done", status="success", packs=found)
    output.line(" ".join(found))
    together = " together" if len(found) > 1 else ""
    output.say(f"it is {' and '.join(found)}{together}; comfykit packs disable switches packs off")


def _ends_well(command: list[str], home: Path) -> bool:
    from comfykit.errors import UsageError

    try:
        ended = subprocess.run(command, check=False, stdout=2, env={**os.environ, "COMFYKIT_HOME": str(home)})
    except OSError as error:
        raise UsageError(f"{command[0]} cannot be run ({error.strerror})") from error
    return ended.returncode == 0
