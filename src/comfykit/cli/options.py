"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

HomeOption: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--home",
        readable=False,  # settings say in a sentence what is wrong with it
        help="The folder with models, inputs and outputs; any ComfyUI folder will do.",
        show_default="$COMFYKIT_HOME, the nearest folder with a comfykit.toml, or ~/comfykit",
    ),
]
ShowOption: TypeAlias = Annotated[
    bool, typer.Option("--show/--no-show", help="Show pictures in the terminal as they are saved.")
]
PreviewOption: TypeAlias = Annotated[
    bool, typer.Option("--preview", help="Show in the terminal what is being made.")
]
PreviewMethodOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="auto|taesd|latent2rgb|none",
        help="How previews are made: by a tiny decoder, or by a map from latents to colours.",
        show_default="none",
    ),
]


def chosen_preview(*, preview: bool, method: str | None = None) -> str | None:
    """The setting that the two options ask for, None where neither is given; a method says more."""
    return method or ("auto" if preview else None)


JsonOption: TypeAlias = Annotated[
    bool, typer.Option("--json", help="Write one JSON object per line to standard output.")
]
JobsOption: TypeAlias = Annotated[
    int | None, typer.Option("--jobs", help="Files fetched at once.", show_default="8")
]
ConnectionsOption: TypeAlias = Annotated[
    int | None, typer.Option("--connections", help="Most connections for one file.", show_default="16")
]
MaxSpeedOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--max-speed",
        metavar="RATE",
        help="Bytes a second for all files together, such as 20M.",
        show_default="no limit",
    ),
]
BackendOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--backend",
        metavar="auto|httpx|aria2",
        help="What brings the files: comfykit's own transfers, or aria2c.",
        show_default="auto",
    ),
]
YesOption: TypeAlias = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
NamesArgument: TypeAlias = Annotated[
    list[str], typer.Argument(metavar="MODEL", help="KIND/NAME, a file name, or a glob of one.")
]
