"""The list of packs and packages that do harm."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from comfykit.errors import PackError
from comfykit.packs.malicious import LIST, known_pack, known_package, refuse_tree
from comfykit.packs.project import read_project
from pack_sources_support import PACK, write_files

BAD = "AppleBotzz/ComfyUI_LLMVISION"


def test_every_entry_has_public_sources() -> None:
    document = tomllib.loads(LIST.read_text(encoding="utf-8"))
    for entry in (*document["packs"], *document["packages"]):
        assert entry["what"]
        assert entry["sources"]
        assert all(source.startswith("https://") for source in entry["sources"])
        assert set(entry) <= {"repositories", "registry", "folders", "name", "versions", "what", "sources"}
    assert all(
        url == f"github.com/{url.split('/', 1)[1]}" for e in document["packs"] for url in e["repositories"]
    )


@pytest.mark.parametrize(
    "url",
    [
        f"https://github.com/{BAD}",
        f"https://GitHub.com/{BAD.upper()}.git",
        f"git@github.com:{BAD}.git",
        f"ssh://git@github.com:22/{BAD}",
        f"https://proxy.example/https://github.com/{BAD}/archive/refs/heads/main.zip",
        f"https://codeload.github.com/{BAD}/zip/main",
    ],
)
def test_a_repository_under_any_address(url: str) -> None:
    harm = known_pack(urls=[url])
    assert harm is not None
    assert harm.sources


def test_ids_and_folders() -> None:
    assert known_pack(registry_id="Upscaler_4K")
    assert known_pack(folder="comfyui_llmvision")
    assert (
        known_pack(urls=["https://github.com/cubiq/ComfyUI_essentials"], registry_id="maths", folder="x")
        is None
    )


def test_releases_of_packages() -> None:
    assert known_package("Ultralytics", "8.3.41")
    assert known_package("ultralytics", "8.3.40") is None
    assert known_package("torch", "2.13.0") is None


def test_what_a_pack_says_of_itself(tmp_path: Path) -> None:
    urls = f'[project]\nname = "x"\n[project.urls]\nRepository = "https://github.com/{BAD}"\n'
    with pytest.raises(PackError, match="it's me is refused"):
        refuse_tree("it's me", write_files(tmp_path / "a", {**PACK, "pyproject.toml": urls}))
    refuse_tree("a file", write_files(tmp_path, {"one.py": ""}) / "one.py")


@pytest.mark.parametrize("text", ["", "[project", "project = 3", "[project]\nname = 3\nurls = 4\n", "\x00"])
def test_projects_that_say_nothing(text: str, tmp_path: Path) -> None:
    project = read_project(write_files(tmp_path, {"pyproject.toml": text}))
    assert (project.name, project.version, project.urls) == (None, None, ())
