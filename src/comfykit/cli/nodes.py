"""`comfykit nodes`: which node classes there are, built in and of packs, and what each takes and gives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from comfykit.cli.options import HomeOption, JsonOption
from comfykit.cli.output import Output
from comfykit.cli.pack_steps import pack_teller

if TYPE_CHECKING:
    from comfykit.engine.schema import NodeClass

app = typer.Typer(
    no_args_is_help=True,
    help="Which node classes there are, built in and of packs, and what each takes and gives.",
)


@app.command("list")
def list_command(
    pattern: Annotated[
        str | None, typer.Argument(help="Part of a name or title, or a pattern such as 'Image*'.")
    ] = None,
    category: Annotated[
        str | None, typer.Option(help="Only built-in ones of a category, such as latent or mask.")
    ] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """List node classes: built-in ones by category, with what they do, then those of custom-node packs."""
    from comfykit.services.nodes import all_classes, categories, classes_of_packs
    from comfykit.settings import resolve

    output = Output(as_json=as_json)
    classes = all_classes(pattern, category)
    for group, entries in categories(classes).items():
        output.table(
            ("class", "what it does"),
            [(entry.name, _first_sentence(entry)) for entry in entries],
            title=group,
        )
        for entry in entries:
            output.record(name=entry.name, title=entry.title, category=group, description=entry.description)
    packs = []
    if category is None:
        packs = classes_of_packs(resolve({"home": home}).home, pattern, pack_teller(output))
    for pack in packs:
        if pack.names:
            output.table(("class",), [(name,) for name in pack.names], title=f"pack {pack.pack}")
        for name in pack.names:
            output.record(name=name, pack=pack.pack)
        if pack.failure is not None:
            output.warn(
                f"the pack {pack.pack} cannot be imported: {pack.failure}",
                f"comfykit packs check {pack.pack} shows more",
            )
    of_packs = sum(len(pack.names) for pack in packs)
    output.say(f"{len(classes)} node classes" + (f" and {of_packs} of packs" if of_packs else ""))


@app.command("show")
def show_command(
    names: Annotated[list[str], typer.Argument(metavar="CLASS", help="Names of node classes.")],
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what node classes do, their inputs with defaults and ranges, and their outputs.

    With --json it is the form of ComfyUI's /object_info.
    """
    from comfykit.services.environment import HomeEnvironment
    from comfykit.services.nodes import find_class, object_info
    from comfykit.services.workflows import NodeClasses
    from comfykit.settings import resolve

    output = Output(as_json=as_json)
    settings = resolve({"home": home})
    registry = NodeClasses(settings=settings, reporter=pack_teller(output)).registry
    entries = [find_class(name, registry) for name in names]
    if as_json:
        environment = HomeEnvironment(settings)
        output.record(**{entry.name: object_info(entry, environment) for entry in entries})
    for entry in entries:
        _show(entry, output)


def _show(entry: NodeClass, output: Output) -> None:
    from comfykit.services.nodes import input_rows, outputs_line

    output.line(f"{entry.name}: {entry.title or entry.name} ({entry.category})")
    output.line("")
    output.line(entry.description)
    output.line("")
    rows = [
        (
            row.name,
            row.type,
            row.default,
            row.allowed if row.required else f"{row.allowed} (optional)".strip(),
        )
        for row in input_rows(entry)
    ]
    if rows:
        output.table(("input", "type", "default", "allowed"), rows)
    output.line(f"outputs: {outputs_line(entry)}" + ("; an output node" if entry.output_node else ""))
    output.line("")


def _first_sentence(entry: NodeClass) -> str:
    first = entry.description.split("\n\n")[0].replace("\n", " ")
    return first.split(". ")[0].rstrip(".")
