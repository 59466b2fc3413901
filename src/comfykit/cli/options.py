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
