"""`comfykit models`: the models that are installed."""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING, Annotated

import typer

from comfykit.cli import models_upkeep
from comfykit.cli.options import (
    BackendOption,
    ConnectionsOption,
    HomeOption,
    JsonOption,
    MaxSpeedOption,
    NamesArgument,
    YesOption,
)
from comfykit.cli.output import Output
from comfykit.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from comfykit.services.models import Model

app = typer.Typer(
    no_args_is_help=True, help="The models that are installed: list, check, add, remove, write down."
)
app.command("verify")(models_upkeep.verify_command)
app.command("prune")(models_upkeep.prune_command)
app.command("export")(models_upkeep.export_command)


@app.command("list")
def list_command(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="MODEL", help="Names or globs; without any, all models.")
    ] = None,
    kind: Annotated[str | None, typer.Option(help="Only models of a kind, such as loras.")] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """List models by kind, with their sizes and where they came from."""
    output = Output(as_json=as_json)
    models = models_upkeep.chosen(home, names or [], kind)
    for group in dict.fromkeys(model.kind for model in models):
        rows = [_row(model) for model in models if model.kind == group]
        output.table(("model", "size", "source"), rows, title=group)
    for model in models:
        output.record(
            event="model",
            kind=model.kind,
            name=model.name,
            path=model.path,
            size=model.size,
            sha256=model.sha256,
            source=model.source,
            packaged=model.packaged,
        )
    from comfykit.cli.rates import size_words

    output.say(f"{len(models)} models, {size_words(sum(model.size for model in models))}")


@app.command("where")
def where_command(names: NamesArgument, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Print the paths of models, one on a line."""
    output = Output(as_json=as_json)
    for model in models_upkeep.chosen(home, names):
        output.record(event="model", kind=model.kind, name=model.name, path=model.path)
        output.line(str(model.path))


@app.command("add")
def add_command(
    url: Annotated[str, typer.Argument(help="An address, as manifests have them; hf:// and civitai: too.")],
    kind: Annotated[str, typer.Option(help="The folder below models/: checkpoints, loras, vae, ...")],
    name: Annotated[
        str | None, typer.Option(help="The file name.", show_default="the last part of the address")
    ] = None,
    sha256: Annotated[str | None, typer.Option(help="The checksum that the file must have.")] = None,
    home: HomeOption = None,
    connections: ConnectionsOption = None,
    max_speed: MaxSpeedOption = None,
    backend: BackendOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be fetched.")] = False,
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Fetch one model, as install-models would from a manifest with this one entry."""
    from comfykit.cli.bring_models import Order, bring

    if name is None:
        url, name = _named(url, home)
    lines = [url, f"  dir=models/{kind.removeprefix('models/')}"]
    lines += [f"  out={name}"] if name else []
    lines += [f"  checksum=sha-256={sha256.removeprefix('sha-256=')}"] if sha256 else []
    for line in lines:
        if not line.isprintable():
            raise UsageError(f"{line.strip()!r} holds a control character")
    flags = {"home": home, "connections": connections, "max_speed": max_speed, "backend": backend}
    stdin = io.BytesIO("\n".join(lines).encode())
    code = bring(Order(["-"], stdin, flags, dry_run=dry_run, yes=yes), Output(as_json=as_json))
    if code:
        raise typer.Exit(code)


def _named(url: str, home: Path | None) -> tuple[str, str]:
    """The address, with its version settled, and the name of its file; a hub may have to be asked."""
    from comfykit.fetch.guide import open_guide
    from comfykit.services.naming import name_of
    from comfykit.settings import resolve

    address, name = name_of(url, open_guide(resolve({"home": home}), os.environ))
    if name is None:
        raise UsageError("the address ends in no file name, and nobody says one", hint="give one with --name")
    return address, name


@app.command("remove")
def remove_command(
    names: NamesArgument, home: HomeOption = None, yes: YesOption = False, as_json: JsonOption = False
) -> None:
    """Delete models of the home, after asking. Models in other folders are left alone."""
    from comfykit.cli.confirm import allowed
    from comfykit.cli.model_lock import renew_lock
    from comfykit.cli.rates import size_words
    from comfykit.services.models import remove_models
    from comfykit.settings import resolve

    output = Output(as_json=as_json)
    models = models_upkeep.chosen(home, names)
    for model in models:
        output.say(f"{size_words(model.size):>9}  {model.path}")
    if not allowed(f"delete {models_upkeep.counted(len(models), 'file')}?", output, yes=yes):
        output.say("nothing was deleted")
        raise typer.Exit(1)
    settings = resolve({"home": home})
    freed = remove_models(settings.home, models)
    for model in models:
        output.record(event="removed", kind=model.kind, name=model.name, path=model.path)
    renew_lock(settings, output, gone=[str(model.target) for model in models if model.target is not None])
    output.record(event="done", status="success", removed=len(models), freed=freed)
    output.say(f"{models_upkeep.counted(len(models), 'file')} deleted, {size_words(freed)} freed")


def _row(model: Model) -> tuple[str, str, str]:
    from comfykit.cli.rates import size_words

    if model.packaged:
        source = "comes with comfykit"
    elif model.source is not None:
        source = model.source
    else:
        source = "" if model.target else str(model.path.parent)
    return model.name, size_words(model.size), source
