"""Packs from every kind of source, prepared beside the packs in use."""

from __future__ import annotations

from pathlib import Path

import pytest

from comfykit.errors import PackError
from comfykit.packs.spec import FOLDER, GIT, ZIP, Spec, parse_spec
from comfykit.packs.staging import Origin, Staged, stage
from comfykit.packs.tree import tree_hash
from fetch_support import PAGE, serving, sha256, status, whole
from pack_sources_support import PACK, Heard, Repo, environment, files_of, settings, write_files, zip_of


def bring(
    text: str, tmp_path: Path, area: Path | None = None, heard: Heard | None = None, **env: str
) -> Staged:
    area = area or tmp_path / "area"
    area.mkdir(parents=True, exist_ok=True)
    return stage(
        parse_spec(text, folder=tmp_path),
        area,
        settings(tmp_path / "home"),
        heard or Heard(),
        environment=environment(tmp_path, **env),
    )


def left(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "area").iterdir())


# Sources


def test_the_same_files_from_everywhere_have_one_hash(tmp_path: Path) -> None:
    project = {"pyproject.toml": '[project]\nversion = "2.0"\n'}
    repo = Repo(tmp_path / "maths")
    commit = repo.commit({**PACK, **project})
    (tmp_path / "maths-main.zip").write_bytes(zip_of({**PACK, **project}, "maths-main/"))
    brought = {
        text: bring(text, tmp_path, tmp_path / f"area{number}")
        for number, text in enumerate((f"file://{repo.folder}", "./maths", "maths-main.zip"))
    }
    assert {staged.tree for staged in brought.values()} == {tree_hash(repo.folder)}
    assert {staged.folder.name for staged in brought.values()} == {"maths"}
    git, folder, archive = (staged.origin for staged in brought.values())
    assert git == Origin(GIT, f"file://{repo.folder}", commit, "2.0", "maths")
    assert git.pinned == Spec(GIT, git.url, commit, "maths")
    assert git.newest == Spec(GIT, git.url, None, "maths")
    assert folder == Origin(FOLDER, str(repo.folder), None, "2.0", "maths")
    data = (tmp_path / "maths-main.zip").read_bytes()
    assert archive == Origin(ZIP, str(tmp_path / "maths-main.zip"), None, "2.0", "maths", None, sha256(data))
    assert all(not list(staged.folder.parent.glob(".*")) for staged in brought.values())


def test_a_branch_is_followed_and_a_commit_is_not() -> None:
    origin = Origin(GIT, "https://github.com/a/b", "c" * 40, None, "b", "dev")
    assert (origin.pinned.ref, origin.newest.ref) == ("c" * 40, "dev")
    assert Origin(GIT, "https://github.com/a/b", "c" * 40, None, "b", "c" * 40).newest.ref is None


def test_a_single_file(tmp_path: Path) -> None:
    one = write_files(tmp_path, {"one.py": "NODE_CLASS_MAPPINGS = {}\n"}) / "one.py"
    staged = bring("one.py", tmp_path)
    assert staged.origin == Origin(FOLDER, str(one), None, None, "one.py")
    assert staged.folder.read_bytes() == one.read_bytes()


def test_a_zip_over_http_with_and_without_its_checksum(tmp_path: Path) -> None:
    data, heard = zip_of(PACK), Heard()
    with serving({"/a/maths.zip": data}) as server:
        staged = bring(f"{server.url}/a/maths.zip", tmp_path, heard=heard)
        assert bring(staged.origin.pinned.text, tmp_path, tmp_path / "b").tree == staged.tree
        with pytest.raises(PackError, match="was wanted"):
            bring(f"{server.url}/a/maths.zip#sha256={'0' * 64}", tmp_path, tmp_path / "c")
    assert staged.origin == Origin(ZIP, f"{server.url}/a/maths.zip", None, None, "maths", None, sha256(data))
    assert files_of(staged.folder) == PACK
    assert {type(event).__name__ for event in heard.events} >= {"TransferStarted", "TransferEnded"}
    assert list((tmp_path / "c").iterdir()) == []


def test_secrets_of_an_address_are_not_kept(tmp_path: Path) -> None:
    with serving({"/a/maths.zip?v=2&token=secret": zip_of(PACK)}) as server:
        staged = bring(f"{server.url}/a/maths.zip?v=2&token=secret", tmp_path)
        assert staged.origin.url == f"{server.url}/a/maths.zip?v=2"


def test_a_zip_of_github_through_a_mirror(tmp_path: Path) -> None:
    path = "owner/Maths/archive/refs/heads/main.zip"
    with serving({f"/github/{path}": zip_of(PACK, "Maths-main/")}) as server:
        staged = bring(
            f"https://github.com/{path}", tmp_path, GITHUB_ENDPOINT=f"{server.url}/github"
        )  # no other address is asked
    assert (staged.origin.name, staged.origin.url) == ("Maths", f"https://github.com/{path}")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (status(404), "404"),
        (status(401), "401"),
        (whole(PAGE, "text/html"), "HTML page"),
        (whole(b"PK\x03\x04 cut off"), "cut off"),
        (whole(zip_of({"../evil.py": ""})), "leads out"),
        (whole(zip_of({"readme.txt": ""})), "no __init__.py"),
    ],
)
def test_zips_that_cannot_be_had(answer: object, words: str, tmp_path: Path) -> None:
    with serving({"/a.zip": answer}) as server, pytest.raises(PackError, match=words):  # type: ignore[dict-item]
        bring(f"{server.url}/a.zip", tmp_path)
    assert left(tmp_path) == []


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"node.py": ""}, "no __init__.py"),
        ({"__init__.py": "", "pyproject.toml": '[project]\nname = "upscaler-4k"\n'}, "Akira Stealer"),
    ],
)
def test_folders_that_are_no_packs(files: dict[str, str], words: str, tmp_path: Path) -> None:
    write_files(tmp_path / "maths", files)
    with pytest.raises(PackError, match=words):
        bring("./maths", tmp_path)
    assert left(tmp_path) == []


def test_harmful_packs_are_refused_before_anybody_is_asked(tmp_path: Path) -> None:
    with pytest.raises(PackError, match="is refused"):
        bring("AppleBotzz/ComfyUI_LLMVISION", tmp_path)
    write_files(tmp_path / "ComfyUI_LLMVISION", PACK)
    with pytest.raises(PackError, match="is refused"):
        bring("./ComfyUI_LLMVISION", tmp_path)


def test_a_folder_that_holds_its_own_target(tmp_path: Path) -> None:
    pack = write_files(tmp_path / "maths", PACK)
    with pytest.raises(PackError, match="holds the home"):
        bring("./maths", tmp_path, pack / "home" / "area")


def test_a_link_to_a_folder_gives_its_own_name(tmp_path: Path) -> None:
    write_files(tmp_path / "checkout", PACK)
    (tmp_path / "maths").symlink_to("checkout")
    staged = bring("./maths", tmp_path)
    assert (staged.origin.name, staged.folder.is_symlink()) == ("maths", False)
    assert files_of(staged.folder) == PACK


def test_two_packs_of_one_name(tmp_path: Path) -> None:
    write_files(tmp_path / "a" / "maths", PACK)
    write_files(tmp_path / "b" / "maths", PACK)
    first = bring("a/maths", tmp_path)
    with pytest.raises(PackError, match="two packs"):
        bring("b/maths", tmp_path)
    assert left(tmp_path) == [first.folder.name]
