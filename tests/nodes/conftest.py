from __future__ import annotations

from pathlib import Path

import pytest
from nodes_support import Run, settings_at


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(settings_at(tmp_path))
