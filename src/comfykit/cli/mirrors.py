"""`comfykit mirrors`: where else files are asked for, and how fast each place answers."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

import typer

from comfykit.cli.options import HomeOption, JsonOption
from comfykit.cli.output import Output

if TYPE_CHECKING:
    from pathlib import Path

    from comfykit.fetch.guide import Guide
    from comfykit.fetch.mirror_rules import Mirror
    from comfykit.services.mirrors import Measured

app = typer.Typer(
    no_args_is_help=True, help="Where else files are asked for, and how fast each place answers."
)


@app.command("list")
def list_command(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """List the rules that say where else a file can be had, in the order in which they count."""
    output = Output(as_json=as_json)
    rules = _guide(home).rules
    output.table(
        ("addresses", "are had from", "when", "said by"),
        [(rule.start, rule.to, _when(rule), rule.said_by) for rule in rules],
    )
    for rule in rules:
        output.record(
            **{"from": rule.start, "to": rule.to},
            instead=rule.instead,
            needs_checksum=rule.needs_checksum,
            said_by=rule.said_by,
        )


@app.command("test")
def measure_command(
    addresses: Annotated[
        list[str] | None,
        typer.Argument(metavar="[ADDRESS]...", help="Files to measure with; without one, a few usual ones."),
    ] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask every hub and mirror for the first MiB of a file: can it be reached, and how fast is it?

    The exit code is 0 when each file can be had from somewhere.
    """
    from comfykit.services.mirrors import measure_mirrors

    output = Output(as_json=as_json)
    reached: dict[str, bool] = {}
    for found in measure_mirrors(_guide(home), addresses or ()):
        reached[found.of] = reached.get(found.of, False) or found.works
        _show(found, output)
    complete = all(reached.values())
    missing = [address for address, works in reached.items() if not works]
    output.record(event="done", status="success" if complete else "error", unreachable=missing)
    for address in missing:
        output.say(f"nobody gives {address}", style="bold red")
    if not complete:
        raise typer.Exit(1)


def _guide(home: Path | None) -> Guide:
    from comfykit.fetch.guide import open_guide
    from comfykit.settings import resolve

    return open_guide(resolve({"home": home}), os.environ)


def _when(rule: Mirror) -> str:
    if rule.instead:
        return "instead"
    return "besides, with a checksum" if rule.needs_checksum else "besides"


def _show(found: Measured, output: Output) -> None:
    """One source, as soon as it is measured."""
    from comfykit.cli.rates import speed_words

    latency = "-" if found.latency is None else f"{found.latency * 1000:.0f} ms"
    speed = speed_words(found.speed) or "-"
    told = found.url if found.works else found.message
    output.line(
        f"{'works' if found.works else 'failed':6}  {found.host:24}  {latency:>8}  {speed:>11}  {told}"
    )
    if found.hint and not output.as_json:
        output.say(f"  hint: {found.hint}")
    output.record(
        event="source",
        host=found.host,
        url=found.url,
        of=found.of,
        works=found.works,
        latency=found.latency,
        speed=found.speed,
        message=found.message or None,
        hint=found.hint,
    )
