from __future__ import annotations

import sys
from pathlib import Path

import pytest

from comfykit.doctor.requirements import LIBRARIES
from comfykit.doctor.sources.runtime import installed, look_at_packages, look_at_python


def test_python_is_the_one_at_work() -> None:
    python = look_at_python()
    assert sys.version.startswith(python.version)
    assert python.executable == sys.executable


def test_packages_have_their_versions_and_missing_ones_none() -> None:
    seen = look_at_packages([*LIBRARIES, "a-library-nobody-has"])
    assert [name for name, version in seen.items() if version is None] == ["a-library-nobody-has"]


@pytest.mark.parametrize("metadata", [None, "", "Metadata-Version: 2.1\nName: halfgone\n"])
def test_a_damaged_installation_has_no_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, metadata: str | None
) -> None:
    folder = tmp_path / "halfgone-1.0.dist-info"
    folder.mkdir()
    if metadata is not None:
        (folder / "METADATA").write_text(metadata)
    monkeypatch.syspath_prepend(tmp_path)
    assert installed("halfgone") is None
