"""One table from an error to its exit code, and the one place that says errors aloud."""

from __future__ import annotations

from comfykit import errors
from comfykit.cli.output import Output

OK = 0
FAILED = 1
UNUSABLE = 2
PARTIAL = 3  # of several files some are in place, and others could not be had
INTERRUPTED = 130

# The first class that fits decides.
EXIT_CODES: tuple[tuple[type[BaseException], int], ...] = (
    (errors.Interrupted, INTERRUPTED),
    (KeyboardInterrupt, INTERRUPTED),
    (errors.UsageError, UNUSABLE),
    (errors.ManifestError, UNUSABLE),
    (errors.WorkflowError, UNUSABLE),
    (errors.ComfykitError, FAILED),
)


def exit_code(error: BaseException) -> int:
    """Exit code for an error: 2 for what cannot be used, 130 when interrupted, 1 for the rest."""
    return next((code for kind, code in EXIT_CODES if isinstance(error, kind)), FAILED)


def explain(error: BaseException, output: Output) -> None:
    """Say an error on stderr (and as a record with `--json`)."""
    if isinstance(error, errors.ComfykitError):
        output.error(str(error), error.hint, {"code": error.code})
    elif isinstance(error, KeyboardInterrupt):
        output.error("interrupted", None, {"code": "interrupted"})
    else:
        output.error(
            f"comfykit met an error of its own: {type(error).__name__}: {error}",
            "run again with COMFYKIT_TRACEBACK=1 and report what it prints",
            {"code": "internal"},
        )
