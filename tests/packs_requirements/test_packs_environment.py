from __future__ import annotations

import os
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from comfykit.errors import PackError
from comfykit.packs.environment import NEEDED, Environment, core, freeze, look
from comfykit.packs.uv_tool import run_uv
from package_support import Place, project, repository, wheel


def test_what_is_needed_is_what_the_project_says() -> None:
    root = next(folder for folder in Path(__file__).parents if (folder / "pyproject.toml").is_file())
    said = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    assert set(NEEDED) == {Requirement(text).name for text in said}


def test_the_core_is_what_comfykit_stands_on(core_place: Place) -> None:
    installed = look(core_place.environment)
    assert installed.frozen() == {
        "numpy": "2.4.6",
        "torch": "2.13.0+cpu",
        "tqdm": "4.70.1",
        "transformers": "5.23.0",
    }
    assert core(installed) == {"numpy", "torch", "tqdm", "transformers"}


def test_nothing_of_where_the_user_stands_counts(
    core_place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    about = tmp_path / "sneaky-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: sneaky\nVersion: 1.0\n", "utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert "sneaky" not in freeze(core_place.environment)


def test_addresses_are_frozen(place: Place, tmp_path: Path) -> None:
    commit = repository(tmp_path / "repo", "gitty", "1.0")
    project(tmp_path / "tree", "treeful", "1.0")
    file = Path(wheel(tmp_path / "elsewhere", "lonely", "1.0"))
    wants = [
        f"gitty @ git+{(tmp_path / 'repo').as_uri()}",
        f"treeful @ {(tmp_path / 'tree').as_uri()}",
        f"lonely @ {file.as_uri()}",
    ]
    ended = run_uv(("install",), place.environment, place.sources, wants)
    assert ended.code == 0, ended.stderr
    frozen = place.freeze()
    assert frozen["gitty"] == f"git+{(tmp_path / 'repo').as_uri()}@{commit}"
    assert frozen["treeful"] == (tmp_path / "tree").as_uri()
    assert frozen["lonely"] == file.as_uri()


def test_broken_metadata_is_nothing(place: Place) -> None:
    (place.site / "torn-1.0.dist-info").mkdir()
    (place.site / "older-1.0.dist-info").mkdir()
    (place.site / "older-1.0.dist-info" / "METADATA").write_bytes(b"\xff\xfe\x00")
    assert set(place.freeze()) == {"numpy", "torch", "tqdm", "transformers"}


def test_files_outside_are_nobodys(place: Place, tmp_path: Path) -> None:
    (tmp_path / "diary.txt").write_text("mine", "utf-8")
    record = next(place.site.glob("tqdm-*.dist-info")) / "RECORD"
    relative = os.path.relpath(tmp_path / "diary.txt", place.site)
    record.write_text(f"{record.read_text('utf-8')}{relative},,\n{tmp_path / 'diary.txt'},,\n", "utf-8")
    files = look(place.environment, files=True).distributions["tqdm"].files
    assert place.site / "tqdm" / "__init__.py" in files
    assert tmp_path / "diary.txt" not in files


def test_an_interpreter_that_says_nothing(tmp_path: Path) -> None:
    with pytest.raises(PackError, match="does not say what is installed"):
        freeze(Environment(tmp_path / "python"))
