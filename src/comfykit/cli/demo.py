"""`comfykit demo`: a picture from words, without a network, with the model that comes with the package."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from comfykit.cli.interrupts import Interrupts
from comfykit.cli.options import JsonOption, PreviewOption, ShowOption, chosen_preview
from comfykit.cli.output import Output
from comfykit.events import Event, Warned

if TYPE_CHECKING:
    from comfykit.services.demo import DemoPicture

MOST_WORDS_NAMED = 8
_NEXT = """
To go on:
  comfykit demo "a yellow star in the top left corner on a striped blue background"
  comfykit run {file} --set "Positive.text=a pink heart on a gray background"
  comfykit install-models manifests/sd15.txt    # Stable Diffusion 1.5, which knows more than shapes"""


def command(
    prompt: Annotated[
        str | None,
        typer.Argument(
            help="What to draw: one or two shapes, their colours, sizes and places.",
            show_default="two shapes side by side",
        ),
    ] = None,
    negative: Annotated[str | None, typer.Option(help="What not to draw.", show_default="nothing")] = None,
    seed: Annotated[
        int | None,
        typer.Option(
            help="Another seed, another picture; one seed, one picture.", show_default="the workflow's"
        ),
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Steps of the sampler.", show_default="20")] = None,
    cfg: Annotated[
        float | None, typer.Option(help="How closely the prompt is followed.", show_default="5")
    ] = None,
    target: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE",
            help="The PNG to write.",
            show_default="comfykit-demo.png, or the next free number",
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace FILE where it is there already.")] = False,
    device: Annotated[str, typer.Option(metavar="auto|cpu|cuda", help="Where the model runs.")] = "cpu",
    show: ShowOption = True,
    preview: PreviewOption = False,
    as_json: JsonOption = False,
) -> None:
    """Draw shapes with a tiny model that comes with comfykit.

    The model knows circles, squares, triangles, stars, rings, crosses and hearts in eleven colours, on
    backgrounds that may be striped, checkered or dotted; what it does not know it leaves out. Needs no
    network and no home. The picture carries its workflow, as those of `comfykit run` do.
    """
    from comfykit.cli.run_report import RunReport
    from comfykit.services.demo import Choices, choose_place, demo_settings, demo_workflow, make_picture

    output = Output(as_json=as_json)
    workflow = demo_workflow(Choices(prompt, negative, seed, steps, cfg))
    place = choose_place(target, replacing=force)
    settings = replace(demo_settings(place, device), preview_method=chosen_preview(preview=preview) or "none")
    with RunReport(output, settings, show=show) as report, Interrupts() as interrupts:
        report.begin("demo")
        report.preparing()

        def tell(event: Event) -> None:
            # With --json one object says it all.
            if not as_json or isinstance(event, Warned):
                report(event)

        picture = make_picture(workflow, place, settings, tell, interrupts.requested)
    _say(output, picture)


def _say(output: Output, picture: DemoPicture) -> None:
    output.say(f'"{picture.prompt}", seed {picture.seed}: {picture.steps} steps, {picture.seconds:.1f} s')
    if picture.unknown:
        named = ", ".join(picture.unknown[:MOST_WORDS_NAMED])
        more = len(picture.unknown) - MOST_WORDS_NAMED
        named += f" and {more} more" if more > 0 else ""
        output.say(f"the demo model knows shapes and colours; it does not know: {named}")
    if not output.as_json:
        output.say(_NEXT.format(file=shlex.quote(str(picture.path))))
    output.record(
        event="done",
        status="success",
        path=picture.path,
        prompt=picture.prompt,
        seed=picture.seed,
        steps=picture.steps,
        seconds=round(picture.seconds, 3),
        unknown_words=picture.unknown,
    )
