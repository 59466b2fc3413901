from __future__ import annotations

import os
from pathlib import Path

import pytest

from comfykit.errors import PackError
from comfykit.home import Home
from comfykit.packs.installed import (
    RECORDS,
    Record,
    find_pack,
    list_packs,
    read_packages,
    read_records,
    render_packages,
    render_records,
    signature_of,
)
from comfykit.packs.layout import state_folder

RECORD = Record("git", "https://h/a", "c" * 40, None, "sha256:0", "s", True, "", "2026-01-01")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    packs = tmp_path / "custom_nodes"
    for name in ("b", "A", "off.disabled", ".disabled/managed", "__pycache__", ".hidden"):
        (packs / name).mkdir(parents=True)
        (packs / name / "__init__.py").touch()
    (packs / "single.py").touch()
    (packs / "example_node.py.example").touch()
    (packs / "two.py.disabled").touch()
    return Home(tmp_path)


def test_folders_and_files_are_packs_on_or_off(home: Home) -> None:
    found = [(pack.name, pack.enabled, pack.is_file) for pack in list_packs(home)]
    assert found == [
        ("A", True, False),
        ("b", True, False),
        ("managed", False, False),
        ("off", False, False),
        ("single.py", True, True),
        ("two.py", False, True),
    ]
    assert list_packs(Home(home.root / "nothing")) == []


def test_a_word_means_a_pack_whatever_its_case(home: Home) -> None:
    packs = list_packs(home)
    assert find_pack(packs, "a").name == "A"
    assert find_pack(packs, "OFF.disabled").name == "off"
    assert find_pack(packs, "single").name == "single.py"
    with pytest.raises(PackError, match="no pack 'manage' is installed") as caught:
        find_pack(packs, "manage")
    assert caught.value.hint == "did you mean managed?"


def test_records_and_packages_are_kept(home: Home) -> None:
    state_folder(home).mkdir(parents=True)
    (state_folder(home) / RECORDS).write_text(render_records({"A": RECORD}), encoding="utf-8")
    assert read_records(home) == {"A": RECORD}
    assert find_pack(list_packs(home), "A").record == RECORD
    here, there = home.root / "venv", home.root / "other"
    for prefix, names in ((here, {"kornia"}), (there, {"numpy"}), (here, {"piexif"})):
        (state_folder(home) / "packages.json").write_text(
            render_packages(home, prefix, names), encoding="utf-8"
        )
    assert read_packages(home, here) == {"piexif"}
    assert read_packages(home, there) == {"numpy"}
    assert read_packages(home, home.root) == set()


def test_a_checkout_of_git_says_where_it_came_from(home: Home) -> None:
    git = home.root / "custom_nodes" / "b" / ".git"
    git.mkdir()
    (git / "config").write_text('[core]\n\tbare = false\n[remote "origin"]\n\turl = https://h/b.git\n')
    (git / "HEAD").write_text("ref: refs/heads/main\n")
    (git / "packed-refs").write_text(f"# pack-refs\n{'d' * 40} refs/heads/main\n")
    assert find_pack(list_packs(home), "b").record == Record("git", "https://h/b.git", "d" * 40)
    (git / "HEAD").write_text("e" * 40 + "\n")
    record = find_pack(list_packs(home), "b").record
    assert record is not None
    assert record.commit == "e" * 40


def test_a_signature_changes_with_the_files_and_not_with_what_python_leaves(home: Home) -> None:
    pack = home.root / "custom_nodes" / "A"
    before = signature_of(pack)
    (pack / "__pycache__").mkdir()
    (pack / "__pycache__" / "x.pyc").touch()
    pack.rename(pack.with_name("C"))
    pack = pack.with_name("C")
    assert signature_of(pack) == before
    file = pack / "__init__.py"
    seen = {before}
    os.utime(file, ns=(1, 1))
    seen.add(signature_of(pack))
    file.chmod(0o755)
    seen.add(signature_of(pack))
    (pack / "more").touch()
    seen.add(signature_of(pack))
    assert len(seen) == 4
    assert signature_of(file) != signature_of(pack)
