"""Which packs do not import: by importing them, and as it was the last time."""

from __future__ import annotations

import os
import sysconfig
import time
from pathlib import Path

import pytest

from comfykit.home import Home
from comfykit.packs.index import remember
from comfykit.packs.installed import Record, render_records
from comfykit.packs.layout import state_folder
from comfykit.packs.probing import Probe
from comfykit.services.doctor import examine
from comfykit.services.failing_packs import failing_packs
from comfykit.settings import resolve

GOOD = "NODE_CLASS_MAPPINGS = {}\n"


def pack(root: Path, name: str, source: str) -> None:
    folder = root / "custom_nodes" / name
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text(source)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    pack(tmp_path, "Good", GOOD)
    pack(tmp_path, "Bad", "import there_is_no_such_module\n")
    pack(tmp_path, "Off.disabled", "import there_is_no_such_module\n")
    return tmp_path


def test_a_deep_look_imports_them(root: Path) -> None:
    (failing,) = failing_packs(Home(root), anew=True, seconds=600.0)
    assert failing.name == "Bad"
    assert "there_is_no_such_module" in failing.error


def test_one_that_takes_the_process_down_is_named_and_keeps_no_other(root: Path) -> None:
    pack(root, "Crash", "import os\nos.abort()\n")
    failing = failing_packs(Home(root), anew=True, seconds=600.0)
    assert [found.name for found in failing] == ["Bad", "Crash"]
    assert "crashed" in failing[1].error


def test_without_time_none_is_begun(root: Path) -> None:
    assert failing_packs(Home(root), anew=True, seconds=1.0) == ()


def test_what_the_last_import_said_counts_until_packages_change(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packages = tmp_path / "site-packages"
    packages.mkdir()
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(packages))
    home = Home(root)
    assert failing_packs(home, anew=False, seconds=1.0) == ()
    remember(home, "Bad", Probe("Bad", cause="no module", hint="install it"))
    (failing,) = failing_packs(home, anew=False, seconds=1.0)
    assert (failing.name, failing.error, failing.hint) == ("Bad", "no module", "install it")
    os.utime(packages, (time.time() + 60, time.time() + 60))
    assert failing_packs(home, anew=False, seconds=1.0) == ()


def test_what_the_installation_said_counts_where_nobody_imported_since(root: Path) -> None:
    records = {
        name: Record("folder", "", imports=said) for name, said in {"Bad": "no module", "Good": ""}.items()
    }
    state_folder(Home(root)).mkdir(parents=True)
    (state_folder(Home(root)) / "installed.json").write_text(render_records(records))
    (failing,) = failing_packs(Home(root), anew=False, seconds=1.0)
    assert (failing.name, failing.error) == ("Bad", "no module")


def test_the_doctor_names_it(root: Path) -> None:
    settings = resolve({"home": root, "device": "cpu"}, environment={}, cwd=root)
    found = [finding for finding in examine(settings, deep=True).findings if finding.code == "CK811"]
    assert len(found) == 1
    assert "Bad" in found[0].message
