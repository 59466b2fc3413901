from __future__ import annotations

import shutil
from pathlib import Path

from comfykit.doctor.sources.storage import look
from comfykit.home import Home


def test_a_home_that_exists(tmp_path: Path) -> None:
    storage = look(Home(tmp_path))
    assert storage.exists
    assert storage.error is None
    assert storage.free is not None
    assert 0 < storage.free < shutil.disk_usage(tmp_path).total
    assert list(tmp_path.iterdir()) == []


def test_a_home_that_does_not_exist_yet_is_not_made(tmp_path: Path) -> None:
    home = tmp_path / "deep" / "home"
    storage = look(Home(home))
    assert not storage.exists
    assert (storage.folder, storage.error) == (tmp_path, None)
    assert storage.free is not None
    assert not home.parent.exists()


def test_a_home_where_no_file_can_be_made() -> None:
    # Not even root makes files in /proc.
    storage = look(Home(Path("/proc")))
    assert storage.exists
    assert storage.error is not None
    assert storage.error.startswith("/proc: ")


def test_models_that_are_a_link_to_such_a_place(tmp_path: Path) -> None:
    (tmp_path / "models").symlink_to("/proc")
    storage = look(Home(tmp_path))
    assert storage.error is not None
    assert str(tmp_path / "models") in storage.error
