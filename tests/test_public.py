from __future__ import annotations

import subprocess
import sys

import comfykit

PUBLIC = [
    "Conditioning",
    "Context",
    "Engine",
    "Image",
    "Latent",
    "Mask",
    "Result",
    "Workflow",
    "__version__",
    "boolean",
    "combo",
    "integer",
    "node",
    "number",
    "run",
    "socket",
    "text",
]


def test_public_names() -> None:
    """Whoever adds a name here promises to keep it."""
    assert comfykit.__all__ == PUBLIC
    assert all(hasattr(comfykit, name) for name in PUBLIC)


def test_importing_the_package_does_not_import_torch() -> None:
    program = (
        "import comfykit, sys; assert 'torch' not in sys.modules; comfykit.run; assert 'torch' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_unknown_names_are_attribute_errors() -> None:
    assert not hasattr(comfykit, "walk")
