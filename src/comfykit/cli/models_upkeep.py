"""`comfykit models verify`, `prune` and `export`, and what all commands on models share."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from comfykit.cli.options import HomeOption, JobsOption, JsonOption, YesOption
from comfykit.cli.output import Output

if TYPE_CHECKING:
    from comfykit.fetch.index import HashIndex
    from comfykit.services.models import Model
    from comfykit.services.verify_models import Verdict

_NAMES = typer.Argument(metavar="MODEL", help="Names or globs; without any, all models.")
_AGAIN = typer.Option("--again", help="Read every byte, also of files that did not change since last time.")


def chosen(
    home: Path | None, names: Sequence[str], kind: str | None = None, index: HashIndex | None = None
) -> list[Model]:
    """The models that words mean, or all of them without words."""
    from comfykit.fetch.index import open_index
    from comfykit.services.models import find_models, list_models
    from comfykit.settings import resolve

    place = resolve({"home": home}).home
    models = list_models(place, index or open_index(place), kind=kind)
    return find_models(models, names) if names else models


def counted(number: int, noun: str, several: str = "") -> str:
    """A number with its noun: `1 file`, `2 files`; `several` is the plural that does not end so."""
    return f"{number} {noun}" if number == 1 else f"{number} {several or f'{noun}s'}"


def verify_command(
    names: Annotated[list[str] | None, _NAMES] = None,
    kind: Annotated[str | None, typer.Option(help="Only models of a kind.")] = None,
    again: Annotated[bool, _AGAIN] = False,
    home: HomeOption = None,
    jobs: JobsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Hash models and compare them with every checksum that is known for them.

    Files that did not change since they were last hashed are not read again. The exit code is 1 when
    something is wrong with one of them.
    """
    output = Output(as_json=as_json)
    verdicts = _verified(home, names or [], kind, jobs, again, output)
    for verdict in verdicts:
        output.line(f"{verdict.status:10}  {verdict.model.title}  {verdict.note}")
        if verdict.hint:
            output.say(f"  hint: {verdict.hint}")
    names_of = ("ok", "unknown", "wrong", "broken", "unreadable")
    counts = {name: sum(verdict.status == name for verdict in verdicts) for name in names_of}
    good = all(verdict.is_good for verdict in verdicts)
    output.record(event="done", status="success" if good else "error", **counts)
    told = (f"{count} {name}" for name, count in counts.items() if count or name == "ok")
    output.say(", ".join(told), style="green" if good else "bold red")
    if not good:
        raise typer.Exit(1)


def prune_command(
    home: HomeOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be deleted.")] = False,
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Delete what transfers left: partial files, rejected files, and notes on files that are gone."""
    from comfykit.cli.confirm import allowed
    from comfykit.cli.rates import size_words
    from comfykit.fetch.index import open_index
    from comfykit.services.prune_models import leftovers, prune
    from comfykit.settings import resolve

    output = Output(as_json=as_json)
    place = resolve({"home": home}).home
    found = leftovers(place)
    for left in found:
        what = f"{left.what}, in use" if left.busy else left.what
        output.record(event="leftover", path=left.path, what=left.what, size=left.size, busy=left.busy)
        output.line(f"{what:15}  {size_words(left.size):>9}  {left.path}")
    idle = [left for left in found if not left.busy]
    if dry_run:
        output.record(event="done", status="success", dry_run=True, files=len(idle))
        output.say(f"{counted(len(idle), 'file')} to delete, {size_words(sum(left.size for left in idle))}")
        return
    if idle and not allowed(f"delete {counted(len(idle), 'file')}?", output, yes=yes):
        output.say("nothing was deleted")
        raise typer.Exit(1)
    freed = prune(place, idle, open_index(place))
    output.record(event="done", status="success", files=len(idle), freed=freed)
    output.say(f"{counted(len(idle), 'file')} deleted, {size_words(freed)} freed")


def export_command(
    manifest: Annotated[
        str, typer.Argument(metavar="[MANIFEST]", help="The file to write, or - for standard output.")
    ] = "-",
    kind: Annotated[str | None, typer.Option(help="Only models of a kind.")] = None,
    home: HomeOption = None,
    jobs: JobsOption = None,
) -> None:
    """Write a manifest of what is installed, with checksums, for install-models on another machine.

    A model whose source is not known stands in it as a comment.
    """
    from comfykit.errors import UsageError
    from comfykit.services.export_models import export_manifest

    output = Output()
    verdicts = _verified(home, [], kind, jobs, False, output, packaged=False)
    text, homeless = export_manifest([verdict.model for verdict in verdicts])
    if manifest == "-":
        output.line(text.rstrip("\n"))
    else:
        try:
            Path(manifest).write_text(text, encoding="utf-8")
        except OSError as error:
            raise UsageError(f"{manifest} cannot be written ({error.strerror})") from error
    for verdict in verdicts:
        if not verdict.is_good:
            output.warn(f"{verdict.model.title}: {verdict.note}", verdict.hint)
    output.say(f"{counted(len(verdicts) - len(homeless), 'model')}, {len(homeless)} without a known source")


def _verified(
    home: Path | None,
    names: Sequence[str],
    kind: str | None,
    jobs: int | None,
    again: bool,
    output: Output,
    *,
    packaged: bool = True,
) -> list[Verdict]:
    """Hash the chosen models under a progress bar."""
    from comfykit.cli.transfers import reporter_for
    from comfykit.fetch.index import open_index
    from comfykit.services.verify_models import verify_models
    from comfykit.settings import resolve

    def record(verdict: Verdict) -> None:
        output.record(
            event="model",
            kind=verdict.model.kind,
            name=verdict.model.name,
            path=verdict.model.path,
            status=verdict.status,
            sha256=verdict.model.sha256,
            note=verdict.note,
            hint=verdict.hint,
        )

    settings = resolve({"home": home, "jobs": jobs})
    index = open_index(settings.home)
    models = [model for model in chosen(home, names, kind, index) if packaged or not model.packaged]
    unread = [model for model in models if again or model.sha256 is None]
    with reporter_for(output, verb="reading", ended="read") as progress:
        progress.expect(len(unread), sum(model.size for model in unread))
        return verify_models(
            models,
            index,
            jobs=settings.jobs,
            again=again,
            reporter=progress.report,
            on_verdict=record,
        )
