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
JsonOption: TypeAlias = Annotated[
    bool, typer.Option("--json", help="Write one JSON object per line to standard output.")
]
