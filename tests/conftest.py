"""Fixtures that every test may use."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from hypothesis import settings

from places import place_of_shared

if "PYTEST_XDIST_WORKER" in os.environ:  # one process per core: more threads would only get in the way
    os.environ["OMP_NUM_THREADS"] = "1"

# The same examples every time, so that a change is judged by what it changes; HYPOTHESIS_PROFILE=search looks
# for new ones.
settings.register_profile("same", derandomize=True)
settings.register_profile("search", max_examples=1000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))

# A shell has what it runs in the background ignore these, and so would every process that a test starts.
signal.signal(signal.SIGINT, signal.default_int_handler)
for number in (signal.SIGQUIT, signal.SIGHUP):
    signal.signal(number, signal.SIG_DFL)


@pytest.fixture(scope="session")
def shared() -> Path:
    """Reference material beside the checkout; tests that need it are skipped where it does not lie."""
    place = place_of_shared()
    if not (place / "reference").is_dir():
        pytest.skip("the reference material does not lie beside this checkout (set COMFYKIT_SHARED)")
    return place


@pytest.fixture(scope="session")
def random_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with the tiny checkpoint of random weights; tests write elsewhere."""
    from random_weights import ensure_checkpoint

    root = tmp_path_factory.mktemp("home")
    (root / "input").mkdir()
    ensure_checkpoint(root)
    return root
