"""What the engine may ask of this machine: which files there are, and why one is not among them."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path

from comfykit.engine.schema import Missing
from comfykit.fetch.catalog import how_to_fetch
from comfykit.settings import Settings


class HomeEnvironment:
    """The `Environment` of a home: folders are "models/<kind>", "input", "output" and "temp"."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def choices(self, folder: str) -> Sequence[str]:
        """Names of the files in a folder, below it for models, directly in it for the others."""
        if folder.startswith("models/"):
            return self._settings.home.names(folder.removeprefix("models/"))
        place = self._place(folder)
        return sorted(path.name for path in place.iterdir() if path.is_file()) if place.is_dir() else []

    def missing(self, folder: str, name: str) -> Missing:
        """Where the file was looked for, the command that would fetch it, and the nearest names."""
        if not folder.startswith("models/"):
            near = difflib.get_close_matches(name, self.choices(folder), n=3, cutoff=0.5)
            return Missing(f"no {name!r} in {self._place(folder)}", _did_you_mean(near))
        kind = folder.removeprefix("models/")
        error = self._settings.home.missing(kind, name)
        fetch = how_to_fetch(kind, name)
        hints = [hint for hint in (f"to fetch it: {fetch}" if fetch else None, error.hint) if hint]
        return Missing(str(error), "; ".join(hints) or None)

    def _place(self, folder: str) -> Path:
        places = {"input": self._settings.input_dir, "output": self._settings.output_dir}
        return places.get(folder, self._settings.temp_dir)


def _did_you_mean(near: Sequence[str]) -> str | None:
    return f"did you mean {' or '.join(near)}?" if near else None
