"""Every error that comfykit raises on purpose.

    ComfykitError
    ├── UsageError              arguments or settings that cannot be used
    ├── ManifestError           a model list that cannot be read
    ├── FetchError              a file that could not be brought onto the disk
    │   ├── TransferError       the server did not give the bytes
    │   └── VerificationError   it gave others than it should
    ├── ModelFileError          a weights file that is missing, broken, unsafe or of an unknown kind
    ├── WorkflowError           a workflow that cannot be read
    │   └── InvalidWorkflow     one that was read and cannot be run; carries every problem
    ├── PackError               a custom-node pack that cannot be fetched, installed or loaded
    │   └── GitFailed           a command of git ended with an error (packs/command.py)
    ├── NodeFailed              a node raised while it ran
    ├── Interrupted             the user asked to stop
    └── BadPattern              a regular expression that means nothing (nodes/regex.py)

An error is a sentence for a person (`str(error)`), a stable `code` for programs, the `facts` it was
made from, and, where something can be done about it, a `hint`. Words and exit codes for the
terminal are made in one place, `comfykit.cli.errors`.
"""

from __future__ import annotations

from typing import ClassVar


class ComfykitError(Exception):
    """Base of all errors that comfykit raises on purpose."""

    code: ClassVar[str] = "error"

    def __init__(self, message: str, *, hint: str | None = None, **facts: object) -> None:
        super().__init__(message)
        self.hint = hint
        self.facts = facts


class UsageError(ComfykitError):
    """Arguments, environment variables or a settings file that cannot be used."""

    code = "usage"


class ManifestError(ComfykitError):
    """A manifest that cannot be read; `facts` has `file` and `line`."""

    code = "manifest"


class FetchError(ComfykitError):
    """A file that could not be brought onto the disk."""

    code = "fetch"


class TransferError(FetchError):
    """The server did not give the bytes: refused, cut off, or answered something else."""

    code = "transfer"


class VerificationError(FetchError):
    """The bytes that came are not the ones that were asked for."""

    code = "verification"


class ModelFileError(ComfykitError):
    """A weights file that is missing, broken, unsafe to open or of an unknown kind."""

    code = "model_file"


class WorkflowError(ComfykitError):
    """A file that holds no workflow, or one that cannot be read."""

    code = "workflow"


class InvalidWorkflow(WorkflowError):
    """A workflow that was read and cannot be run; `facts["problems"]` has every reason."""

    code = "invalid_workflow"


class PackError(ComfykitError):
    """A custom-node pack cannot be fetched, installed or loaded."""

    code = "pack"


class NodeFailed(ComfykitError):
    """A node raised while it ran; `__cause__` is what it raised."""

    code = "node_failed"


class Interrupted(ComfykitError):
    """The user asked to stop."""

    code = "interrupted"
