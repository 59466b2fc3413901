"""What is told of packs while a command looks into them, on standard error."""

from __future__ import annotations

from comfykit.cli.output import Output
from comfykit.events import Event, PackStep, Reporter, Warned


def pack_teller(output: Output) -> Reporter:
    """Says which pack is looked at and what is odd about one; standard output stays as it is."""

    def tell(event: Event) -> None:
        match event:
            case PackStep(pack, doing):
                output.say(f"{pack}: {doing}")
            case Warned(message, hint):
                output.warn(message, hint)
            case _:
                pass

    return tell
