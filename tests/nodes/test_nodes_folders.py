from __future__ import annotations

import hashlib
import math
from pathlib import Path

import pytest
from nodes_support import settings_at

from comfykit.errors import UsageError
from comfykit.nodes.folders import check_file, file_digest, find_file, inside, split_kind, use_folders

LEADING_OUT = (
    "../../etc/passwd",
    "../../etc/passwd [output]",
    "..\\..\\secret.png",
    "/etc/passwd",
    "\\\\server\\share\\x.png",
    "C:\\x.png",
    "..",
    "a/../../x.png",
    "a\\..\\..\\x.png [temp]",
)


def test_names_say_their_folder(tmp_path: Path) -> None:
    settings = settings_at(tmp_path)
    for kind in ("input", "output", "temp"):
        (tmp_path / kind / "sub").mkdir(parents=True)
        (tmp_path / kind / "sub" / "a.png").write_text(kind)
    assert find_file("sub/a.png", settings).read_text() == "input"
    assert find_file("sub\\a.png", settings).read_text() == "input"
    for kind in ("input", "output", "temp"):
        assert find_file(f"sub/a.png [{kind}]", settings).read_text() == kind
        assert find_file(f"sub/a.png[{kind}]", settings).read_text() == kind


def test_other_brackets_belong_to_the_name() -> None:
    assert split_kind("a [models].png") == ("a [models].png", "input")
    assert split_kind("a [x] [temp]") == ("a [x]", "temp")


@pytest.mark.parametrize("name", LEADING_OUT)
def test_names_that_lead_out(tmp_path: Path, name: str) -> None:
    settings = settings_at(tmp_path)
    with pytest.raises(UsageError, match="leads out of"):
        find_file(name, settings)
    with use_folders(settings):
        assert "leads out of" in str(check_file(name))


@pytest.mark.parametrize("name", ["a\0b.png", "a\nb.png", "\ud800.png"])
def test_characters_that_no_name_has(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="characters"):
        find_file(name, settings_at(tmp_path))


@pytest.mark.parametrize("name", ["", ".", "sub", "x" * 5000])
def test_what_is_no_file(tmp_path: Path, name: str) -> None:
    settings = settings_at(tmp_path)
    (settings.input_dir / "sub").mkdir()
    with pytest.raises(UsageError, match="no file"):
        find_file(name, settings)


def test_a_missing_file_names_the_nearest(tmp_path: Path) -> None:
    settings = settings_at(tmp_path)
    (settings.input_dir / "portrait.png").touch()
    with pytest.raises(UsageError) as caught:
        find_file("potrait.png", settings)
    assert caught.value.hint == "did you mean portrait.png?"
    with pytest.raises(UsageError) as caught:
        find_file("potrait.png [output]", settings)
    assert caught.value.hint == "put it into the output folder"


def test_links_inside_a_folder_are_followed(tmp_path: Path) -> None:
    settings = settings_at(tmp_path)
    (tmp_path / "elsewhere.png").write_text("x")
    (settings.input_dir / "link.png").symlink_to(tmp_path / "elsewhere.png")
    assert find_file("link.png", settings).read_text() == "x"


def test_inside_simplifies() -> None:
    assert inside("a//b/./c/../d", "here") == "a/b/d"
    assert inside("...", "here") == "..."


def test_checks_and_fingerprints_look_where_the_run_does(tmp_path: Path) -> None:
    settings = settings_at(tmp_path)
    (settings.input_dir / "a.png").write_bytes(b"x")
    assert math.isnan(file_digest("a.png"))  # type: ignore[arg-type]
    assert check_file("b.png") is True  # nowhere to look yet; the node will say so
    with use_folders(settings):
        assert check_file("a.png") is True
        assert check_file("b.png") == f"no file 'b.png' in {settings.input_dir} (did you mean a.png?)"
        assert check_file(None) is True
        assert math.isnan(file_digest(None))  # type: ignore[arg-type]
        assert file_digest("a.png") == hashlib.sha256(b"x").hexdigest()
    assert math.isnan(file_digest("a.png"))  # type: ignore[arg-type]
