"""Questions to a person, and only to a person: a script is never asked."""

from __future__ import annotations

import sys

import typer

from comfykit.cli.output import Output
from comfykit.errors import UsageError


def is_attended(output: Output) -> bool:
    """Whether somebody sits there: both what is typed and what is said go through a terminal."""
    return not output.as_json and sys.stdin.isatty() and sys.stderr.isatty()


def confirm(question: str, *, default: bool = False) -> bool:
    """Ask for yes or no on standard error; call it only where `is_attended`."""
    return typer.confirm(question, default=default, err=True)


def allowed(question: str, output: Output, *, yes: bool) -> bool:
    """Whether something may be deleted: by `--yes`, or because a person says so.

    Raises `UsageError` where there is neither.
    """
    if yes:
        return True
    if is_attended(output):
        return confirm(question)
    raise UsageError("nothing is deleted without a person to ask", hint="give --yes where nobody is there")
