"""Hashes and copies of packs' files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from comfykit.errors import PackError
from comfykit.packs.tree import clean_tree, copy_tree, tree_hash
from fetch_support import sha256
from pack_sources_support import PACK, write_files


def test_the_hash_is_that_of_names_bytes_and_modes(tmp_path: Path) -> None:
    pack = write_files(tmp_path / "a", PACK)
    first = tree_hash(pack)
    rows = [f"f {len(name)}:{name} {sha256(text.encode())}\n" for name, text in sorted(PACK.items())]
    assert first == f"sha256:{sha256(''.join(rows).encode())}"  # what locks hold: it must not change
    write_files(pack, {".git/config": "x", "nodes/__pycache__/maths.pyc": "x"})
    (pack / "empty").mkdir()
    os.utime(pack / "README.md", (0, 0))
    (pack / "README.md").chmod(0o600)
    assert tree_hash(pack) == first
    assert tree_hash(write_files(tmp_path / "b", dict(reversed(PACK.items())))) == first


@pytest.mark.parametrize("change", ["bytes", "name", "mode", "more", "less", "link", "moved"])
def test_every_change_changes_it(change: str, tmp_path: Path) -> None:
    pack = write_files(tmp_path / "a", PACK)
    first, file = tree_hash(pack), pack / "README.md"
    if change == "bytes":
        file.write_text("another pack")
    elif change == "name":
        file.rename(pack / "README")
    elif change == "mode":
        file.chmod(0o755)
    elif change == "more":
        (pack / "empty.py").touch()
    elif change == "less":
        file.unlink()
    elif change == "link":
        file.unlink()
        file.symlink_to("A pack.\n")
    else:
        file.rename(pack / "nodes" / "README.md")
    assert tree_hash(pack) != first


def test_links_to_folders_count_by_their_target(tmp_path: Path) -> None:
    pack = write_files(tmp_path / "a", PACK)
    (pack / "alias").symlink_to("nodes")
    first = tree_hash(pack)
    (pack / "alias").unlink()
    (pack / "alias").symlink_to("other")
    assert tree_hash(pack) != first


def test_a_single_file(tmp_path: Path) -> None:
    one = write_files(tmp_path, {"one.py": "x", "b/one.py": "x", "two.py": "x"})
    assert tree_hash(one / "one.py") == tree_hash(one / "b" / "one.py") != tree_hash(one / "two.py")


def test_odd_files(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for judge in (tree_hash, clean_tree):
        with pytest.raises(PackError, match="neither a file"):
            judge(tmp_path)


def test_compiled_files_go_whatever_they_are(tmp_path: Path) -> None:
    pack = write_files(tmp_path / "a", {**PACK, "__pycache__/x.pyc": ""})
    (pack / "nodes" / "__pycache__").symlink_to(tmp_path)
    (tmp_path / "kept").touch()
    clean_tree(pack)
    assert sorted(path.name for path in pack.rglob("*")) == ["README.md", "__init__.py", "maths.py", "nodes"]
    assert (tmp_path / "kept").exists()


def test_a_copy_has_what_belongs_to_the_pack(tmp_path: Path) -> None:
    pack = write_files(
        tmp_path / "a", {**PACK, ".git/hooks/x": "", "__pycache__/x.pyc": "", ".gitignore": ""}
    )
    (pack / "link").symlink_to("README.md")
    copy_tree(pack, tmp_path / "b")
    assert tree_hash(tmp_path / "b") == tree_hash(pack)
    assert not (tmp_path / "b" / ".git").exists()
    assert (tmp_path / "b" / "link").is_symlink()
