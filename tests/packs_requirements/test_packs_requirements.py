from __future__ import annotations

from pathlib import Path

import pytest

from comfykit.packs.requirements import wanted_by


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    folder = tmp_path / "Some Pack"
    folder.mkdir()
    return folder


def read(pack: Path, text: str | bytes) -> tuple[list[str], list[str]]:
    """Requirements and problems of a requirements.txt."""
    (pack / "requirements.txt").write_bytes(text if isinstance(text, bytes) else text.encode())
    wanted = wanted_by(pack)
    return [one.text for one in wanted.requirements], list(wanted.problems)


def test_requirements_know_where_they_stand(pack: Path) -> None:
    (pack / "requirements.txt").write_text(
        "# first\n\nAlpha_X[b,a] >= 1.0 ; python_version > '3' # why\n", "utf-8"
    )
    (one,) = wanted_by(pack).requirements
    assert (one.name, one.specifier, one.extras, one.where) == (
        "alpha-x",
        ">=1.0",
        ("a", "b"),
        "Some Pack/requirements.txt:3",
    )
    assert one.marker == 'python_version > "3"'


@pytest.mark.parametrize(
    ("text", "texts"),
    [
        ("alpha\nbeta==1.0\n", ["alpha", "beta==1.0"]),
        ("alpha>=1,\\\n  <2\nbeta\n", ["alpha<2,>=1", "beta"]),
        ("alpha\r\nbeta\r\n", ["alpha", "beta"]),
        ("alpha\rbeta", ["alpha", "beta"]),
        (b"\xef\xbb\xbfalpha\n", ["alpha"]),
        ("alpha\nbeta\n".encode("utf-16"), ["alpha", "beta"]),
        ("alpha\nbeta\n".encode("utf-16-le"), ["alpha", "beta"]),
        ("alpha\n".encode("utf-32"), ["alpha"]),
        ("alpha # für\n".encode("latin-1"), ["alpha"]),
        ("# nothing\n   \n", []),
        (
            "alpha @ https://host.example/a-1.0-py3-none-any.whl",
            ["alpha @ https://host.example/a-1.0-py3-none-any.whl"],
        ),
        (
            "https://host.example/a_b-1.0-py3-none-any.whl",
            ["a-b @ https://host.example/a_b-1.0-py3-none-any.whl"],
        ),
        ("git+https://host.example/o/r.git@v1", ["git+https://host.example/o/r.git@v1"]),
        (
            "-e git+https://host.example/o/r.git#egg=Al.pha",
            ["al-pha @ git+https://host.example/o/r.git#egg=Al.pha"],
        ),
        ("alpha@git+ssh://git@host.example/o/r", ["alpha @ git+ssh://git@host.example/o/r"]),
        ("--prefer-binary\nalpha", ["alpha"]),
    ],
)
def test_what_pip_reads_is_read(pack: Path, text: str | bytes, texts: list[str]) -> None:
    assert read(pack, text) == (texts, [])


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("alpha=1.0", "did you mean alpha==1.0?"),
        ("alpha>=1.0.*", "did you mean alpha>=1.0?"),
        ("alpha~=1", "cannot be read"),
        ("pip install alpha", "is a command"),
        ("alpha ${HOME}", "names a variable"),
        ("alpha==${VERSION}", "names a variable"),
        ("al\x00pha", "invisible character"),
        ("alp\u200bha", "invisible character"),
        ("x" * 9000, "a line of 9000 characters"),
        ("<!DOCTYPE html>", "cannot be read"),
        ("alpha --global-option=x", "options stand on lines of their own"),
        ("--pre", "--pre is not used"),
        ("--trusted-host evil.example", "--trusted-host is not used"),
        ("--index-url", "takes one address"),
        ("-e .", "is the pack itself"),
        (".", "is the pack itself"),
        ("../other", "lies outside the pack"),
        ("/etc/passwd.whl", "lies outside the pack"),
        ("file:///etc/x-1-py3-none-any.whl", "lies outside the pack"),
        ("alpha @ file:///etc/x.whl", "lies outside the pack"),
        ("./wheels/a-1-py3-none-any.whl", "is not in the pack"),
        ("http://host.example/a-1-py3-none-any.whl", "write https"),
        ("ftp://host.example/a-1-py3-none-any.whl", "neither an https address nor git"),
        ("git+http://host.example/o/r", "comes by git+http"),
        ("git+ext::sh%20-c%20touch", "comes by git+ext"),
        ("hg+https://host.example/o/r", "comes by hg+https"),
        ("git+https://host.example/o/r@--upload-pack=x", "is no address of a repository"),
        ("git+ssh://-oProxyCommand=x/o/r", "is no address of a repository"),
        ("git+https://me:secret@host.example/o/r", "an address with a password"),
        ("-r ../../x.txt", "lies outside the pack"),
        ("-r https://host.example/x.txt", "lies outside the pack"),
        ("-r none.txt", "there is no file"),
    ],
)
def test_a_bad_line_is_named_and_the_rest_is_used(pack: Path, line: str, reason: str) -> None:
    texts, (problem,) = read(pack, f"first\n{line}\nlast\n")
    assert texts == ["first", "last"]
    assert problem.startswith("Some Pack/requirements.txt:2: ")
    assert reason in problem
    assert "secret" not in problem


def test_indexes_are_shown(pack: Path) -> None:
    text = "--index-url https://a.example/simple\n--extra-index-url=https://b.example\n-i https://a.example/simple\n"
    (pack / "requirements.txt").write_text(f"{text}-f https://c.example/wheels\nalpha\n", "utf-8")
    wanted = wanted_by(pack)
    assert wanted.indexes == ("https://a.example/simple", "https://b.example")
    assert wanted.find_links == ("https://c.example/wheels",)
    assert wanted.problems == ()


def test_other_files_of_the_pack_are_read_once(pack: Path) -> None:
    (pack / "more").mkdir()
    (pack / "requirements.txt").write_text("-r more/a.txt\n-c more/limits.txt\n", "utf-8")
    (pack / "more" / "a.txt").write_text("alpha\n-r b.txt\n-r ../requirements.txt\n", "utf-8")
    (pack / "more" / "b.txt").write_text("beta\n-r a.txt\n=\n", "utf-8")
    (pack / "more" / "limits.txt").write_text("alpha<2\n", "utf-8")
    wanted = wanted_by(pack)
    assert [one.where for one in wanted.requirements] == ["Some Pack/more/a.txt:1", "Some Pack/more/b.txt:1"]
    assert [one.text for one in wanted.constraints] == ["alpha<2"]
    assert [problem.split(": ")[0] for problem in wanted.problems] == ["Some Pack/more/b.txt:3"]


def test_links_that_leave_the_pack_are_not_followed(pack: Path, tmp_path: Path) -> None:
    (tmp_path / "secrets.txt").write_text("alpha\n", "utf-8")
    (pack / "requirements.txt").symlink_to(tmp_path / "secrets.txt")
    wanted = wanted_by(pack)
    assert wanted.requirements == ()
    assert "leads outside" in wanted.problems[0]


def test_a_huge_file_is_not_read(pack: Path) -> None:
    texts, (problem,) = read(pack, b"alpha\n" * 200_000)
    assert texts == []
    assert "is not read" in problem


def test_a_wheel_of_the_pack_itself(pack: Path) -> None:
    (pack / "wheels").mkdir()
    wheel = pack / "wheels" / "a_b-1.0-py3-none-any.whl"
    wheel.touch()
    assert read(pack, "./wheels/a_b-1.0-py3-none-any.whl") == ([f"a-b @ {wheel.as_uri()}"], [])


def test_hashes_are_kept_apart(pack: Path) -> None:
    digest = "0" * 64
    (pack / "requirements.txt").write_text(f"alpha==1.0 \\\n    --hash=sha256:{digest}\n", "utf-8")
    (one,) = wanted_by(pack).requirements
    assert (one.text, one.hashes) == ("alpha==1.0", (f"sha256:{digest}",))


PROJECT = """
[project]
name = "Some_Pack"
requires-python = ">=3.10"
dependencies = [
    "alpha>=1",
    "beta",
    "gamma=1",
]
[project.optional-dependencies]
Fast = ["delta ; python_version > '3'"]
all = ["some-pack[fast]", "epsilon"]
"""


def test_a_project_is_read_too_and_requirements_come_first(pack: Path) -> None:
    (pack / "pyproject.toml").write_text(PROJECT, "utf-8")
    (pack / "requirements.txt").write_text("Alpha==1.5\n", "utf-8")
    wanted = wanted_by(pack)
    assert [one.text for one in wanted.requirements] == ["Alpha==1.5", "beta"]
    assert (wanted.extras, wanted.requires_python) == (("all", "fast"), ">=3.10")
    assert wanted.problems[0].startswith("Some Pack/pyproject.toml:8: 'gamma=1' cannot be read")


def test_extras_are_followed(pack: Path) -> None:
    (pack / "pyproject.toml").write_text(PROJECT, "utf-8")
    assert {one.name for one in wanted_by(pack, ["ALL"]).requirements} == {
        "alpha",
        "beta",
        "delta",
        "epsilon",
    }
    assert "offers no extra 'slow'" in wanted_by(pack, ["slow"]).problems[-1]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[project\n", "pyproject.toml:1: is no TOML"),
        ('[project]\ndependencies = ["a", 3]\n', "3 is no text"),
    ],
)
def test_a_broken_project_is_named(pack: Path, text: str, reason: str) -> None:
    (pack / "pyproject.toml").write_text(text, "utf-8")
    assert reason in wanted_by(pack).problems[0]


@pytest.mark.parametrize(
    "text", ["", "project = 1", "[tool.x]\n", "[project]\ndependencies = 1\n", "\ufeff[project]\n"]
)
def test_a_project_without_dependencies_is_no_problem(pack: Path, text: str) -> None:
    (pack / "pyproject.toml").write_text(text, "utf-8")
    assert wanted_by(pack).requirements == wanted_by(pack).problems == ()


def test_dependencies_that_setuptools_reads_from_files(pack: Path) -> None:
    text = '[project]\ndynamic = ["dependencies"]\n[tool.setuptools.dynamic]\n'
    text += 'dependencies = {file = ["deps.in", "../x"]}\n'
    (pack / "pyproject.toml").write_text(text, "utf-8")
    (pack / "deps.in").write_text("alpha\n", "utf-8")
    wanted = wanted_by(pack)
    assert [one.where for one in wanted.requirements] == ["Some Pack/deps.in:1"]
    assert "lies outside the pack" in wanted.problems[0]


def test_a_pack_that_is_one_file_wants_nothing(tmp_path: Path) -> None:
    (tmp_path / "node.py").touch()
    assert wanted_by(tmp_path / "node.py").requirements == ()


def source(pack: Path, text: str, name: str = "__init__.py") -> list[tuple[str, str]]:
    """What a pack wants with this source, and where it says so."""
    (pack / name).parent.mkdir(exist_ok=True)
    (pack / name).write_text(text)
    return [(one.text, one.where.partition("/")[2]) for one in wanted_by(pack).requirements]


def test_what_comfyui_brings_is_wanted_by_packs_that_import_it(pack: Path) -> None:
    """Authors do not list it, since everybody has it; here nobody would."""
    text = "import os, aiohttp.web\n\ndef run():\n    from einops import rearrange\n    import other\n"
    assert source(pack, text, "py/server.py") == [("aiohttp", "py/server.py:1"), ("einops", "py/server.py:4")]


def test_what_is_listed_is_wanted_as_it_is_listed(pack: Path) -> None:
    (pack / "requirements.txt").write_text("einops<1\n")
    assert source(pack, "import einops, aiohttp\n") == [
        ("einops<1", "requirements.txt:1"),
        ("aiohttp", "__init__.py:1"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "try:\n    import einops\nexcept ImportError:\n    einops = None\n",
        "from .einops import rearrange\nfrom . import aiohttp\n",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import einops\n",
        "import einops_exts\n'''\nimport einops\n'''\n",
        "import einops ( )\n",
    ],
)
def test_what_a_pack_can_do_without_is_not_wanted(pack: Path, text: str) -> None:
    assert source(pack, text) == []


def test_a_pack_of_one_file_wants_what_it_imports(tmp_path: Path) -> None:
    (tmp_path / "one.py").write_text("import aiohttp\n")
    (one,) = wanted_by(tmp_path / "one.py").requirements
    assert (one.text, one.where) == ("aiohttp", "one.py/one.py:1")
