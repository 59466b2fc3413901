"""What a person writes to name a pack."""

from __future__ import annotations

from pathlib import Path

import pytest

from comfykit.errors import PackError
from comfykit.packs.listing import read_specs
from comfykit.packs.names import check_name, without_branch
from comfykit.packs.repository import check_ref, is_commit, read_repository
from comfykit.packs.spec import FOLDER, GIT, REGISTRY, ZIP, Spec, name_of_archive, parse_spec
from pack_sources_support import PACK, write_files

GITHUB = "https://github.com/cubiq/ComfyUI_essentials"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.mark.parametrize(
    ("text", "url", "ref"),
    [
        (GITHUB, GITHUB, None),
        (f"{GITHUB}.git", f"{GITHUB}.git", None),
        (f"{GITHUB}/", GITHUB, None),
        (f"{GITHUB}@v1.2", GITHUB, "v1.2"),
        (f"{GITHUB}.git@{COMMIT}", f"{GITHUB}.git", COMMIT),
        (f"{GITHUB}@feature/new-nodes", GITHUB, "feature/new-nodes"),
        (f"git+{GITHUB}@main", GITHUB, "main"),
        ("cubiq/ComfyUI_essentials", GITHUB, None),
        (" cubiq/ComfyUI_essentials@1f2e3d4 ", GITHUB, "1f2e3d4"),
        (f"{GITHUB}/tree/dev/two", GITHUB, "dev/two"),
        (f"{GITHUB}/commit/{COMMIT}", GITHUB, COMMIT),
        (f"{GITHUB}/releases/tag/v1.0", GITHUB, "v1.0"),
        ("git@github.com:cubiq/ComfyUI_essentials.git", "git@github.com:cubiq/ComfyUI_essentials.git", None),
        ("git@github.com:cubiq/ComfyUI_essentials@dev", "git@github.com:cubiq/ComfyUI_essentials", "dev"),
        (
            "git+ssh://git@example.com:2222/a/ComfyUI_essentials@x",
            "ssh://git@example.com:2222/a/ComfyUI_essentials",
            "x",
        ),
        ("file:///srv/git/ComfyUI_essentials.git@main", "file:///srv/git/ComfyUI_essentials.git", "main"),
        ("http://127.0.0.1:8000/a/ComfyUI_essentials", "http://127.0.0.1:8000/a/ComfyUI_essentials", None),
    ],
)
def test_repositories(text: str, url: str, ref: str | None, tmp_path: Path) -> None:
    assert parse_spec(text, folder=tmp_path) == Spec(GIT, url, ref, "ComfyUI_essentials")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (f"{GITHUB}/archive/refs/heads/main.zip", "ComfyUI_essentials"),
        ("https://codeload.github.com/cubiq/ComfyUI_essentials/zip/refs/heads/main", "ComfyUI_essentials"),
        (f"{GITHUB}/zipball/v1", "ComfyUI_essentials"),
        (f"{GITHUB}/releases/download/v1/nodes.zip", None),
        ("https://example.com/packs/My%20Pack.zip", None),
        (f"https://mirror.example/{GITHUB}/archive/main.zip", None),
    ],
)
def test_archives_elsewhere(text: str, name: str | None, tmp_path: Path) -> None:
    assert parse_spec(text, folder=tmp_path) == Spec(ZIP, text, name=name)
    pinned = parse_spec(f"{text}#sha256={'AB' * 32}", folder=tmp_path)
    assert pinned == Spec(ZIP, text, name=name, sha256="ab" * 32)
    assert parse_spec(pinned.text, folder=tmp_path) == pinned


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("comfyui-impact-pack", None),
        ("comfyui-impact-pack@8.1.2", "8.1.2"),
        ("comfyui-impact-pack@nightly", "nightly"),
    ],
)
def test_ids_of_the_registry(text: str, version: str | None, tmp_path: Path) -> None:
    (tmp_path / "comfyui-impact-pack").mkdir()  # an installed pack beside us is not what is meant
    assert parse_spec(text, folder=tmp_path) == Spec(
        REGISTRY, "comfyui-impact-pack", version, "comfyui-impact-pack"
    )


def test_what_lies_here(tmp_path: Path) -> None:
    pack = write_files(tmp_path / "packs" / "mine", PACK)
    single = write_files(tmp_path, {"one.py": ""}) / "one.py"
    (tmp_path / "a.zip").write_bytes(b"")
    folder = Spec(FOLDER, str(pack), name="mine")
    for text in (
        "./packs/mine",
        "packs/mine",
        "packs/mine/",
        str(pack),
        "../" + tmp_path.name + "/packs/mine",
    ):
        assert parse_spec(text, folder=tmp_path) == folder
    assert parse_spec(".", folder=pack) == folder
    assert parse_spec("one.py", folder=tmp_path) == Spec(FOLDER, str(single), name="one.py")
    for text in ("a.zip", f"file://{tmp_path}/a.zip"):
        assert parse_spec(text, folder=tmp_path) == Spec(ZIP, str(tmp_path / "a.zip"))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "-r",
        "--upload-pack=touch /tmp/x",
        "--upload-pack=x/y",
        "-u./payload/repo",
        "ext::sh -c touch% /tmp/x",
        "git+ext::sh -c x",
        "fd::17/foo",
        "https::https://github.com/a/b",
        "git://github.com/a/b",
        "ftp://example.com/a/b",
        "ssh://-oProxyCommand=x/a/b",
        "ssh://git@-oProxyCommand=x/a/b",
        "ssh://git@example.com/-oProxyCommand/b",
        "git@-oProxyCommand=x:a/b",
        "-oProxyCommand=x@host:a/b",
        "git@host:-x/b",
        "https://user:secret@github.com/a/b",
        "https://github.com/a/b?x=1",
        "https://github.com/a/b#main",
        "https://github.com/a/..",
        "https://github.com/a/.git",
        "https://github.com/a/custom_nodes",
        "https://github.com/a/con",
        "https://github.com/a/%2e%2e",
        "https://github.com/a/b%2fc",
        "https://github.com/a/b/issues/3",
        "https://github.com/",
        "https://[::1/a/b",
        "https://github.com\\@evil.example/a/b",
        "https://github.com/a/b\u202egnp",
        "https://github.com/a/b@",
        "https://github.com/a/b@--upload-pack=x",
        "https://github.com/a/b@a..b",
        "https://github.com/a/b@@{u}",
        "https://github.com/a/b@x\ny",
        "https://github.com/a/b@+refs/heads/a:refs/heads/b",
        "a/b@-x",
        "a/b/c",
        "github.com/a/b",
        "comfyui pack",
        "1pack",
        "pack@--x",
        "missing.zip",
        "./missing",
        "https://example.com/a.zip#md5=1",
        "x" * 3000,
    ],
)
def test_hostile_and_mistaken(text: str, tmp_path: Path) -> None:
    with pytest.raises(PackError) as caught:
        parse_spec(text, folder=tmp_path)
    assert "secret" not in str(caught.value)


BAD_REFS = (
    *(
        "-x",
        "a b",
        "a~1",
        "a^",
        "a:b",
        "a\x7f",
        "a?",
        "[a",
        "a\\b",
        "/a",
        "a/",
        "a.",
        "a.lock",
        "a//b",
        "a/.b",
        "@",
    ),
    *(".a", "a.lock/b", ""),
)


@pytest.mark.parametrize("ref", BAD_REFS)
def test_refs_that_git_would_read_in_its_own_way(ref: str) -> None:
    with pytest.raises(PackError):
        check_ref(ref)


def test_full_commits_alone_are_commits() -> None:
    assert is_commit(COMMIT)
    assert is_commit(COMMIT.upper())
    assert not any(map(is_commit, (None, "main", COMMIT[:12], f"{COMMIT}0", f"{COMMIT}\n")))


BAD_NAMES = (
    *(
        "",
        ".",
        "..",
        "a/b",
        "a\\b",
        ".hidden",
        "-x",
        "~x",
        "a.",
        " a",
        "a ",
        "NUL",
        "aux.py",
        "a:b",
        "x" * 201,
    ),
    *("custom_nodes", "__pycache__", "x.disabled", "a\u200bb", "a\nb"),
)


@pytest.mark.parametrize("name", BAD_NAMES)
def test_names_that_no_folder_gets(name: str) -> None:
    with pytest.raises(PackError):
        check_name(name)


def test_names_are_composed() -> None:
    assert check_name("Cafe\u0301 节点") == "Caf\u00e9 节点"


@pytest.mark.parametrize(
    ("archive", "name"),
    [
        ("/x/ComfyMath-main.zip", "ComfyMath"),
        (f"https://example.com/ComfyMath-{COMMIT}.zip?a=b", "ComfyMath"),
        ("/x/maths.zip", "maths"),
        ("/x/-main.zip", "-main"),
    ],
)
def test_names_of_archives(archive: str, name: str) -> None:
    assert name_of_archive(archive) == name
    assert without_branch("a-master") == "a"


def test_hosts_of_repositories() -> None:
    assert read_repository("git@Example.com:a/b").host == "example.com"
    assert read_repository("https://example.com/a/b").host == "example.com"
    assert read_repository("file:///a/b").host == ""


def test_lists(tmp_path: Path) -> None:
    write_files(tmp_path / "sub" / "mine", PACK)
    listing = tmp_path / "sub" / "packs.txt"
    listing.write_text(f"# packs\n\n{GITHUB}@v1   # the newest\n./mine\ncomfyui-impact-pack\n{GITHUB}@v1\n")
    found = read_specs(["sub/packs.txt", "a/b"], folder=tmp_path)
    assert [spec.text for spec in found] == [
        f"{GITHUB}@v1",
        str(tmp_path / "sub" / "mine"),
        "comfyui-impact-pack",
        "https://github.com/a/b",
    ]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"a/b\n--upload-pack=x\n", "packs.txt:2: "),
        (b"\xff\xfe\x00", "not text"),
        (b"#" * (1024 * 1024 + 1), "bytes"),
    ],
)
def test_lists_that_cannot_be_read(data: bytes, words: str, tmp_path: Path) -> None:
    (tmp_path / "packs.txt").write_bytes(data)
    with pytest.raises(PackError, match=words):
        read_specs(["packs.txt"], folder=tmp_path)
