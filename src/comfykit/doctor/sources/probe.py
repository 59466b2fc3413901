"""Imports one library and writes what it says of itself as a line of JSON.

Run by `libraries` in an interpreter of its own, `python probe.py torch`: a broken build may raise, hang
or take its process down, and that must be this process. What an import raises ends it with a traceback.
"""

from __future__ import annotations

import importlib.util
import json
import sys
import warnings


def probe(name: str) -> dict[str, object]:
    """What is to be known of a library; `missing` where it is not installed."""
    if importlib.util.find_spec(name) is None:
        return {"missing": True}
    return _torch() if name == "torch" else _numpy()


def _numpy() -> dict[str, object]:
    import numpy

    return {"version": str(numpy.__version__)}


def _torch() -> dict[str, object]:
    import torch

    with warnings.catch_warnings(record=True) as complaints:
        warnings.simplefilter("always")
        devices = torch.cuda.device_count() if torch.cuda.is_available() else 0
    return {
        "version": str(torch.__version__),
        "cuda": torch.version.cuda,
        "hip": torch.version.hip,
        "devices": devices,
        "architectures": torch.cuda.get_arch_list(),
        "complaint": str(complaints[0].message) if complaints else None,
        "arrays": _arrays(torch.zeros(1)),
        "xpu": torch.xpu.device_count() if hasattr(torch, "xpu") else 0,
        "mps": bool(hasattr(torch, "backends") and torch.backends.mps.is_available()),
    }


def _arrays(tensor: object) -> str | None:
    """What goes wrong when a tensor becomes an array: where torch was built for another numpy, all of it."""
    try:
        tensor.numpy()  # type: ignore[attr-defined]
    except RuntimeError as error:
        return str(error)
    return None


if __name__ == "__main__":
    sys.stdout.write("\n" + json.dumps(probe(sys.argv[1])) + "\n")
