"""A stage for every test of faults."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fault_stage import Stage, set_up


@pytest.fixture
def backend(request: pytest.FixtureRequest) -> str:
    """What brings the bytes: comfykit's own transfers, or what `with_both_backends` says."""
    return str(getattr(request, "param", "httpx"))


@pytest.fixture
def stage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], backend: str
) -> Iterator[Stage]:
    def read() -> tuple[str, str]:
        captured = capsys.readouterr()
        return captured.out, captured.err

    with set_up(tmp_path, backend, monkeypatch, read) as made:
        yield made
