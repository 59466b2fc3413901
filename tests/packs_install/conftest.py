"""Fixtures of tests that install packs."""

from __future__ import annotations

from pathlib import Path

import pytest

from comfykit.packs import probing
from pack_support import Place, make_place, only_from, wheel


@pytest.fixture(scope="session")
def uv_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("uv-cache")


@pytest.fixture
def place(tmp_path: Path, uv_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A home and an environment, wheels of `thing` 1 and 2 and of `below`, and a probe that is quick."""
    for variable, value in {
        "UV_CONFIG_FILE": str(only_from(tmp_path / "wheels")),
        "UV_CACHE_DIR": str(uv_cache),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "PYTHONPATH": str(Path(__file__).parents[1]),
    }.items():
        monkeypatch.setenv(variable, value)
    monkeypatch.setattr(probing, "PROBE", "probe_stand_in")
    place = make_place(tmp_path)
    wheel(place.wheels, "below", "1.0")
    wheel(place.wheels, "thing", "1.0", ["below"])
    wheel(place.wheels, "thing", "2.0", ["below"])
    return place
