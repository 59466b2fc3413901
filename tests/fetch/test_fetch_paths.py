"""Targets stay below models/, whatever a manifest or a disk says."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import pytest

from comfykit.errors import FetchError
from comfykit.fetch.paths import check_place, target_path
from comfykit.home import Home


@pytest.mark.parametrize(
    "name",
    [
        "../../x",
        "a/../../b",
        "./././../x",
        "..",
        ".",
        "",
        " ",
        "sub/",
        "/etc/cron.d/x",
        "//host/share",
        "C:\\x",
        "C:x",
        "\\\\host\\share",
        "..\\x",
        "a:b",
        "%2e%2e/x",
        "%252e%252e/x",
        "a%2fb",
        "．．/x",
        "a／b",
        ".. /x",
        "a/..%00/b",
        "a\0b",
        "a\nb",
        "a\tb",
        "a\x1b[2Jb",
        "a\u202eb",
        "~/x",
        "$HOME/x",
        "sub/$HOME/x",
        "%APPDATA%/x",
        ".hidden",
        ".git/config",
        "x" * 241,
        "é" * 121,
        "/".join(["d" * 200] * 6),
        "CON",
        "aux.pt",
        "x.",
        "x ",
        "a?b",
        "a*b",
    ],
)
def test_unsafe_names_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r".+") as caught:
        target_path("models/vae", name)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "folder", ["../..", "/", "/etc", "~", "vae/..", "models/../..", "C:\\models", "%2e%2e", "", "$HOME"]
)
def test_unsafe_folders_are_refused(folder: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        target_path(folder, "vae/a.pt")


@pytest.mark.parametrize(
    "folder", ["custom_nodes/pack", "input", "output", "temp", "user", "ComfyUI/models/vae"]
)
def test_other_folders_of_a_home_are_refused(folder: str) -> None:
    with pytest.raises(ValueError, match=r"only models|start at models"):
        target_path(folder, "a.pt")


@pytest.mark.parametrize(
    ("folder", "name", "target"),
    [
        ("models/vae", "a.pt", "vae/a.pt"),
        ("vae", "sub/a b.pt", "vae/sub/a b.pt"),
        (None, "models/vae/模型.safetensors", "vae/模型.safetensors"),
        ("mmdets/bbox", "config.py", "mmdets/bbox/config.py"),
        ("vae", "50%.pt", "vae/50%.pt"),
    ],
)
def test_ordinary_names_are_kept(folder: str | None, name: str, target: str) -> None:
    assert target_path(folder, name) == PurePosixPath(target)


def test_a_folder_that_links_out_of_the_home_is_refused(tmp_path: Path) -> None:
    home, outside = Home(tmp_path / "home"), tmp_path / "outside"
    outside.mkdir()
    home.models.mkdir(parents=True)
    (home.models / "loras").symlink_to(outside)
    for target in ("loras/a.pt", "loras/deep/a.pt"):
        with pytest.raises(FetchError, match="outside of"):
            check_place(home, PurePosixPath(target))
    assert check_place(home, PurePosixPath("vae/a.pt")) == home.models / "vae" / "a.pt"


def test_a_linked_folder_is_allowed_when_the_home_names_it(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    home = Home(tmp_path / "home", {"loras": (outside,)})
    home.models.mkdir(parents=True)
    (home.models / "loras").symlink_to(outside)
    assert check_place(home, PurePosixPath("loras/a.pt")) == home.models / "loras" / "a.pt"


def test_models_as_a_whole_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "models").symlink_to(tmp_path / "disk")
    home = Home(tmp_path / "home")
    assert check_place(home, PurePosixPath("vae/a.pt")) == home.models / "vae" / "a.pt"
