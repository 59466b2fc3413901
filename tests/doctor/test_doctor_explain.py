from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from comfykit.doctor.catalogue import catalogue, finding
from comfykit.doctor.explain import explain, explained
from comfykit.doctor.interface import Status


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("CUDA error: no kernel image is available for execution on the device", "CK305"),
        ("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB", "CK330"),
        ("ImportError: /lib64/libc.so.6: version `GLIBC_2.28' not found (required by x)", "CK211"),
        ("RuntimeError: Numpy is not available", "CK404"),
        ("ValueError: numpy.dtype size changed, may indicate binary incompatibility.", "CK405"),
        ("ImportError: flash_attn_2_cuda.so: undefined symbol: _ZN3c105ErrorC2E", "CK210"),
        ("RuntimeError: operator torchvision::nms does not exist", "CK205"),
        ("OSError: libtorchaudio.so: undefined symbol: _ZN3c10", "CK206"),
        ("AssertionError: Torch not compiled with CUDA enabled", "CK301"),
        ("RuntimeError: CUDA error: operation not supported", "CK308"),
        ("OSError: [Errno 28] No space left on device", "CK604"),
        ("SafetensorError: Error while deserializing header: MetadataIncompleteBuffer", "CK701"),
        ("_pickle.UnpicklingError: invalid load key, '<'.", "CK702"),
        ("ssl.SSLError: CERTIFICATE_VERIFY_FAILED", "CK613"),
        ("error: externally-managed-environment", "CK103"),
    ],
)
def test_what_programs_say(message: str, code: str) -> None:
    entry = explain(message)
    assert entry is not None
    assert entry.code == code


@pytest.mark.parametrize("message", ["", "ValueError: bad seed", "KeyError: 'samples'", "torch is fun"])
def test_what_explains_nothing(message: str) -> None:
    assert explain(message) is None


def test_a_message_that_a_finding_accounts_for_is_not_said_twice() -> None:
    message = "CUDA error: no kernel image is available for execution on the device"
    known = finding("CK305", "no code for this GPU")
    assert list(explained([message], [known])) == []
    (found,) = explained([message, message], [])
    assert (found.code, found.status) == ("CK305", Status.FAILURE)


def test_the_pages_are_those_of_the_data(tmp_path: Path) -> None:
    root = next(folder for folder in Path(__file__).parents if (folder / "pyproject.toml").is_file())
    subprocess.run([sys.executable, root / "tools" / "doctor_pages.py", tmp_path], check=True, timeout=60)
    written = {path.name: path.read_text(encoding="utf-8") for path in tmp_path.iterdir()}
    assert written.keys() == {"README.md", *(f"{code}.md" for code in catalogue())}
    for name, text in written.items():
        assert (root / "docs" / "doctor" / name).read_text(encoding="utf-8") == text
    assert len(list((root / "docs" / "doctor").iterdir())) == len(written)
