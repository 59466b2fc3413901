"""The engine and the reading of workflows start in milliseconds and need no torch."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import sys
class NoTorch:
    def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] in ('torch', 'numpy', 'transformers'):
            raise ImportError(f'{name} must not be needed')
sys.meta_path.insert(0, NoTorch())
import pkgutil, importlib, comfykit.engine, comfykit.workflow
for package in (comfykit.engine, comfykit.workflow):
    for module in pkgutil.iter_modules(package.__path__, package.__name__ + '.'):
        importlib.import_module(module.name)
"""


def test_engine_and_workflow_import_where_torch_is_absent() -> None:
    subprocess.run([sys.executable, "-c", PROGRAM], check=True, timeout=60)


def test_their_tests_pass_where_torch_is_absent() -> None:
    """Runs the tests of both packages with torch blocked; a nested run does not nest again."""
    block = "import sys; sys.modules.update(dict.fromkeys(('torch', 'transformers')))\n"
    program = f"{block}import pytest; raise SystemExit(pytest.main(sys.argv[1:]))"
    here = __file__.rsplit("/", 2)[0]
    done = subprocess.run(
        [sys.executable, "-c", program, "-q", "-p", "no:cacheprovider", f"{here}/engine", f"{here}/workflow",
         "--deselect", "tests/engine/test_without_torch.py"],
        check=False, capture_output=True, text=True, timeout=300,
        cwd=here.rsplit("/", 1)[0],
    )  # fmt: skip
    if done.returncode:
        pytest.fail(done.stdout[-4000:] + done.stderr[-2000:])
