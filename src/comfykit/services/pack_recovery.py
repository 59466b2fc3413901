"""Taking back what was begun: by this process, or by the next one where it was killed."""

from __future__ import annotations

from pathlib import Path

from comfykit.errors import PackError
from comfykit.events import PackStep, Reporter, Warned
from comfykit.home import Home
from comfykit.packs.change import restore
from comfykit.packs.environment import Environment
from comfykit.packs.transaction import Packages, PutBack, recover


def take_back_interrupted(home: Home, reporter: Reporter) -> None:
    """Take back what a killed process left of a change; call it while the home is held."""
    if recover(home, putting_back(reporter)) is not None:
        reporter(Warned("a change of the packs was cut off; everything is as it was before it"))


def putting_back(reporter: Reporter) -> PutBack:
    """What a transaction puts Python packages back with, in whatever environment they were."""

    def put_back(packages: Packages) -> None:
        python = Path(packages.python)
        if not python.exists():
            reporter(Warned(f"{python} is gone, so that its packages are not put back"))
            return
        reporter(PackStep("", "putting the packages back"))
        try:
            restore(packages.before, Environment(python), reporter)
        except PackError as error:
            raise PackError(
                f"the packages could not be put back ({error}); the next command on packs tries again",
                hint=error.hint,
            ) from error

    return put_back
