"""numpy imports, and torch was built for its ABI."""

from __future__ import annotations

from collections.abc import Iterator

from comfykit.doctor.facts import Facts
from comfykit.doctor.interface import Finding, Status
from comfykit.doctor.requirements import NUMPY, TORCH
from comfykit.doctor.versions import at_least
from comfykit.doctor.wheels import install_torch

INSTALL = f"pip install --upgrade 'numpy>={NUMPY}'"


def check(facts: Facts) -> Iterator[Finding]:
    """Judge numpy, and whether tensors become its arrays."""
    numpy, torch = facts.numpy, facts.torch
    if numpy.version is None:
        yield Finding("numpy", Status.FAILURE, "not installed", INSTALL)
    elif numpy.error is not None:
        yield Finding(
            "numpy",
            Status.FAILURE,
            f"{numpy.version} does not import: {numpy.error}",
            f"pip install --force-reinstall 'numpy>={NUMPY}'",
        )
    elif not at_least(numpy.version, NUMPY):
        yield Finding("numpy", Status.FAILURE, f"{numpy.version} is too old: comfykit needs {NUMPY}", INSTALL)
    elif torch.arrays is not None:
        yield Finding(
            "numpy",
            Status.FAILURE,
            f"{numpy.version} does not fit torch {torch.version}, which was built for another major "
            f"version of numpy: tensors do not become arrays ({torch.arrays})",
            _bridge(facts),
        )
    else:
        yield Finding("numpy", Status.OK, numpy.version)


def _bridge(facts: Facts) -> str:
    """Every torch that comfykit accepts works with numpy 1 and 2: an older one is the culprit."""
    if at_least(facts.torch.version or "", TORCH):
        return f"pip install --force-reinstall 'numpy>={NUMPY}'"
    return install_torch(facts.driver)
