"""Repositories from real git servers: over HTTP on 127.0.0.1 and from this machine."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from comfykit.errors import Interrupted, PackError
from comfykit.events import TransferEnded, Warned
from comfykit.fetch.mirror_rules import Mirror, read_mirrors
from comfykit.packs import command
from comfykit.packs.command import GitFailed, check_git, run_git
from comfykit.packs.git import Fetching, fetch_repository, sources
from comfykit.packs.limits import USUAL
from comfykit.packs.repository import insecure, read_repository
from comfykit.packs.submodules import place_of, repository_of
from pack_sources_support import PACK, GitServer, Heard, Repo, files_of, git_server, write_files

GITHUB = "https://github.com/"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GitServer]:
    with git_server(tmp_path / "served") as server:
        yield server


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Repo:
    """A repository with two commits: the tag v1, and a newer one on main; not to be changed."""
    repo = Repo(tmp_path_factory.mktemp("model") / "pack")
    repo.commit()
    repo.git("tag", "--annotate", "v1", "-m", "one")
    repo.commit({"new.py": "pass\n"})
    return repo


@pytest.fixture
def repo(model: Repo, tmp_path: Path) -> Repo:
    """The model as served/owner/pack."""
    return model.copy(tmp_path / "served" / "owner" / "pack")


def fetch(url: str, ref: str | None, folder: Path, fetching: Fetching | None = None) -> str:
    return fetch_repository(read_repository(url), ref, folder, fetching or Fetching())


def test_the_newest_commit_over_http(server: GitServer, repo: Repo, tmp_path: Path) -> None:
    heard = Heard()
    url = f"{server.url}/owner/pack"
    commit = fetch(url, None, tmp_path / "out", Fetching(reporter=heard))
    out = Repo(tmp_path / "out")
    assert commit == repo.git("rev-parse", "HEAD") == out.git("rev-parse", "HEAD")
    assert files_of(out.folder) == {**PACK, "new.py": "pass\n"}
    assert out.git("rev-list", "--count", "--all", "HEAD") == "1"  # shallow
    assert out.git("status", "--porcelain") == ""
    assert out.git("config", "remote.origin.url") == url
    assert not list((out.folder / ".git").glob("hooks/*"))
    assert heard.warnings() == []  # plain http to this machine is nobody's business
    assert isinstance(heard.events[-1], TransferEnded)


@pytest.mark.parametrize("ref", ["v1", "side/branch", "COMMIT", "SHORT"])
def test_a_tag_a_branch_and_commits(ref: str, server: GitServer, repo: Repo, tmp_path: Path) -> None:
    first = repo.git("rev-parse", "v1^{commit}")
    repo.git("branch", "side/branch", first)
    ref = {"COMMIT": first, "SHORT": first[:10]}.get(ref, ref)
    assert fetch(f"{server.url}/owner/pack", ref, tmp_path / "out") == first
    assert files_of(tmp_path / "out") == PACK


def test_a_commit_of_a_server_that_gives_none_by_name(repo: Repo, tmp_path: Path) -> None:
    first = repo.git("rev-parse", "v1^{commit}")
    repo.git("tag", "--delete", "v1")
    repo.git("config", "uploadpack.allowAnySHA1InWant", "false")
    assert fetch(f"file://{repo.folder}", first, tmp_path / "out") == first
    with pytest.raises(PackError, match="no commit, tag or branch '" + "e" * 40):
        fetch(f"file://{repo.folder}", "e" * 40, tmp_path / "none")


@pytest.mark.parametrize(
    ("path", "ref", "words"),
    [
        ("owner/none", None, "has no repository"),
        ("owner/pack", "v9", "no commit, tag or branch 'v9'"),
        ("owner/pack", "abcdef012", "no commit, tag or branch"),
        ("owner/empty", None, "is empty"),
        ("secret/pack", None, "wants a login"),
    ],
)
def test_what_a_server_does_not_have(
    path: str, ref: str | None, words: str, server: GitServer, repo: Repo, tmp_path: Path
) -> None:
    Repo(tmp_path / "served" / "owner" / "empty")
    server.refused = {"/secret"}
    with pytest.raises(PackError, match=words) as caught:
        fetch(f"{server.url}/{path}", ref, tmp_path / "out")
    assert caught.value.hint or words == "is empty"


def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(PackError, match="cannot be reached") as caught:
        fetch("http://127.0.0.1:1/owner/pack", None, tmp_path / "out")
    assert "GITHUB_ENDPOINT" in str(caught.value.hint)


def test_mirrors_are_asked_and_leave_no_trace(server: GitServer, repo: Repo, tmp_path: Path) -> None:
    rules = (*read_mirrors(f"https://gone.example/=http://127.0.0.1:1/ {GITHUB}={server.url}/"),)
    fetch(f"{GITHUB}owner/pack", None, tmp_path / "out", Fetching(rules))
    assert files_of(tmp_path / "out").keys() == {*PACK, "new.py"}
    kept = [path.read_bytes() for path in (tmp_path / "out" / ".git").iterdir() if path.is_file()]
    assert not any(server.url.encode() in data for data in kept)


def test_the_next_mirror_when_one_fails(server: GitServer, repo: Repo, tmp_path: Path) -> None:
    dead, alive = "http://127.0.0.1:1/", f"{server.url}/"
    rules = (Mirror(GITHUB, dead, instead=True),)
    with pytest.raises(PackError, match="cannot be reached"):
        fetch(f"{GITHUB}owner/pack", None, tmp_path / "none", Fetching(rules))
    heard = Heard()
    rules = (Mirror(dead, alive, instead=False),)
    fetch(f"{dead}owner/pack", None, tmp_path / "out", Fetching(rules, reporter=heard))
    assert any("cannot be reached" in words for words in heard.warnings())


def test_mirrors_that_nobody_named_are_asked_for_commits_alone() -> None:
    rules = (Mirror(GITHUB, "https://mirror.example/", instead=False, needs_checksum=True),)
    repository = read_repository(f"{GITHUB}a/b")
    assert sources(repository, "main", rules) == [f"{GITHUB}a/b"]
    assert sources(repository, "a" * 40, rules) == [f"{GITHUB}a/b", "https://mirror.example/a/b"]
    assert sources(read_repository("git@github.com:a/b"), None, rules) == ["git@github.com:a/b"]


def test_plain_http_is_said_aloud() -> None:
    warning = insecure("http://git.example/a/b")
    assert isinstance(warning, Warned)
    assert "git.example" in warning.message
    assert insecure("https://git.example/a/b") is None
    assert insecure("http://localhost:8000/a/b") is None


# What a repository and the surroundings may hold


def test_nothing_of_the_surroundings_runs(
    repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither hooks of templates, nor filters, nor monitors; another repository's variables do not count."""
    marker = tmp_path / "ran"
    hooks = tmp_path / "template" / "hooks"
    hooks.mkdir(parents=True)
    for name in ("post-checkout", "reference-transaction", "post-index-change"):
        (hooks / name).write_text(f"#!/bin/sh\ntouch {marker}\n")
        (hooks / name).chmod(0o755)
    config = tmp_path / "gitconfig"
    config.write_text(
        f"[init]\n\ttemplateDir = {hooks.parent}\n"
        f"[core]\n\thooksPath = {hooks}\n\tfsmonitor = touch {marker}\n"
        f'[filter "lfs"]\n\tsmudge = touch {marker}\n\trequired = true\n'
    )
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "index"))
    monkeypatch.setenv("GIT_TEMPLATE_DIR", str(hooks.parent))
    pointer = "version https://git-lfs.github.com/spec/v1\n"
    repo.folder.joinpath(".gitattributes").write_text("*.bin filter=lfs\n")
    with monkeypatch.context() as unset:
        unset.delenv("GIT_DIR")
        unset.delenv("GIT_INDEX_FILE")
        unset.setenv("GIT_TEMPLATE_DIR", "")
        repo.git("-c", "filter.lfs.clean=", "-c", "filter.lfs.smudge=", "add", ".gitattributes")
        repo.commit({"model.bin": pointer})
    fetch(f"file://{repo.folder}", None, tmp_path / "out")
    assert not marker.exists()
    assert not (tmp_path / "elsewhere").exists()
    assert files_of(tmp_path / "out")["model.bin"] == pointer


def test_a_main_branch_with_the_name_of_an_option(server: GitServer, repo: Repo, tmp_path: Path) -> None:
    commit = repo.git("rev-parse", "HEAD")
    name = f"--upload-pack=touch ${{IFS}}{tmp_path}/ran".replace(" ", "")
    git = repo.folder / ".git"
    (git / "refs" / "heads" / name).parent.mkdir(parents=True, exist_ok=True)
    (git / "refs" / "heads" / name).write_text(f"{commit}\n")
    (git / "HEAD").write_text(f"ref: refs/heads/{name}\n")
    assert fetch(f"{server.url}/owner/pack", None, tmp_path / "out") == commit
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("target", ["/etc/passwd", "../../secret", "nodes/../../secret"])
def test_links_out_of_the_tree(target: str, repo: Repo, tmp_path: Path) -> None:
    (repo.folder / "link.py").symlink_to(target)
    repo.commit()
    with pytest.raises(PackError, match=r"link\.py is a link that leads out"):
        fetch(f"file://{repo.folder}", None, tmp_path / "out")


def test_links_inside_stay_and_compiled_files_do_not(repo: Repo, tmp_path: Path) -> None:
    (repo.folder / "AGENTS.md").symlink_to("README.md")
    repo.commit({"nodes/__pycache__/maths.cpython-311.pyc": "other code", "__pycache__/a.pyc": "x"})
    fetch(f"file://{repo.folder}", None, tmp_path / "out")
    assert (tmp_path / "out" / "AGENTS.md").readlink() == Path("README.md")
    assert not list((tmp_path / "out").rglob("__pycache__"))


def test_too_large(repo: Repo, tmp_path: Path) -> None:
    repo.commit({f"many/{number}.txt": "x" for number in range(30)})
    limits = replace(USUAL, files=20)
    with pytest.raises(PackError, match="larger than a pack may be"):
        fetch(f"file://{repo.folder}", None, tmp_path / "out", Fetching(limits=limits))


# Submodules


def with_submodule(repo: Repo, url: str, path: str = "vendor/maths") -> Repo:
    """The repository `outer` beside `repo`, which records the first commit of `repo` below `path`."""
    outer = Repo(repo.folder.parent / "outer")
    outer.commit({"__init__.py": ""})
    outer.add_submodule(path, url, repo.git("rev-parse", "v1^{commit}"))
    return outer


@pytest.mark.parametrize("url", ["../pack", "https://github.com/owner/pack"])
def test_declared_submodules_come_along(url: str, server: GitServer, repo: Repo, tmp_path: Path) -> None:
    with_submodule(repo, url)
    rules = read_mirrors(f"{GITHUB}={server.url}/")
    fetch(f"{server.url}/owner/outer", None, tmp_path / "out", Fetching(rules))
    assert files_of(tmp_path / "out" / "vendor" / "maths") == PACK


@pytest.mark.parametrize(
    ("parent", "address", "found"),
    [
        ("https://example.com/a/b", "../c", "https://example.com/a/c"),
        ("https://example.com/a/b.git", "./../../d/c.git", "https://example.com/d/c.git"),
        ("git@example.com:a/b", "../c", "git@example.com:a/c"),
        ("ssh://git@example.com:22/a/b", "../c", "ssh://git@example.com:22/a/c"),
        ("https://example.com/a/b", "../../../../c", "https://example.com/c"),
        ("file:///srv/a/b", "../c", "file:///srv/a/c"),
    ],
)
def test_relative_addresses(parent: str, address: str, found: str) -> None:
    assert repository_of("x", address, read_repository(parent)).url == found


def test_submodules_of_submodules(repo: Repo, tmp_path: Path) -> None:
    outer = with_submodule(repo, f"file://{repo.folder}", "inner")
    text = (outer.folder / ".gitmodules").read_text()
    (outer.folder / ".gitmodules").write_text(f"{text}\tupdate = !touch {tmp_path / 'ran'}\n")
    outer.git("add", ".gitmodules")
    top = Repo(tmp_path / "served" / "owner" / "top")
    top.commit({"__init__.py": ""})
    top.add_submodule("middle", f"file://{outer.folder}", outer.save())
    fetch(f"file://{top.folder}", None, tmp_path / "out")
    assert files_of(tmp_path / "out" / "middle" / "inner") == PACK
    assert not (tmp_path / "ran").exists()
    shallow = Fetching(limits=replace(USUAL, submodule_depth=1))
    with pytest.raises(PackError, match="more submodules"):
        fetch(f"file://{top.folder}", None, tmp_path / "deep", shallow)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("file:///tmp/x/pack", "file:// is not accepted from a pack"),
        ("http://git.example/owner/pack", "http:// is not accepted from a pack"),
        ("ext::sh -c touch% /tmp/ran", "helper program"),
        ("--upload-pack=touch /tmp/ran", "not the address"),
        ("ssh://-oProxyCommand=x/a", "not the address"),
        ("/etc/pack", "not the address"),
        ("https://example.com/a/..", "no name"),
    ],
)
def test_hostile_addresses_of_submodules(url: str, words: str) -> None:
    with pytest.raises(PackError, match=words):
        repository_of("x", url, read_repository("https://github.com/owner/outer"))


def test_a_submodule_that_is_refused_ends_the_whole(server: GitServer, repo: Repo, tmp_path: Path) -> None:
    with_submodule(repo, f"file://{repo.folder}")
    with pytest.raises(PackError, match="submodule vendor/maths: file:// is not accepted"):
        fetch(f"{server.url}/owner/outer", None, tmp_path / "out")


@pytest.mark.parametrize("path", ["../a", "/a", "a/.GIT/hooks", "-a", "a\\b", "link/a", "full", "missing"])
def test_paths_that_no_submodule_gets(path: str, tmp_path: Path) -> None:
    write_files(tmp_path / "pack", {"full/x": ""})
    (tmp_path / "elsewhere" / "a").mkdir(parents=True)
    (tmp_path / "pack" / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(PackError, match=r"submodule"):
        place_of(path, tmp_path / "pack")


def test_a_submodule_without_an_address_stays_empty(repo: Repo, tmp_path: Path) -> None:
    outer = with_submodule(repo, f"file://{repo.folder}", "a")
    outer.git("rm", "--quiet", "--cached", "--force", ".gitmodules")
    outer.save()
    heard = Heard()
    fetch(f"file://{outer.folder}", None, tmp_path / "out", Fetching(reporter=heard))
    assert any("does not declare" in words for words in heard.warnings())
    assert list((tmp_path / "out" / "a").iterdir()) == []


def test_a_list_of_submodules_that_is_a_link(repo: Repo, tmp_path: Path) -> None:
    blob = repo.git("hash-object", "-w", "--stdin", stdin="README.md")
    tree = repo.git("mktree", stdin=f"120000 blob {blob}\t.gitmodules\n")
    repo.git("update-ref", "HEAD", repo.git("commit-tree", tree, "-m", "x"))
    with pytest.raises(PackError, match="cannot be checked out"):
        fetch(f"file://{repo.folder}", None, tmp_path / "out")


# The command itself


def hanging(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A git that never ends, and starts another program that does not either."""
    pids = tmp_path / "pids"
    fake = tmp_path / "bin" / "git"
    fake.parent.mkdir()
    fake.write_text(f"#!/bin/sh\nsleep 1000 &\necho $! >> {pids}\nwait\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{fake.parent}:{os.environ['PATH']}")
    return pids


def gone(pids: Path) -> bool:
    """Whether everything ended that was started; ended children of init may take a moment to be collected."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        states = [Path(f"/proc/{pid}/stat") for pid in pids.read_text().split()]
        if not any(
            path.exists() and path.read_text().rpartition(")")[2].split()[0] != "Z" for path in states
        ):
            return True
        time.sleep(0.02)
    return False


def test_a_time_limit_ends_everything_that_git_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pids = hanging(tmp_path, monkeypatch)
    with pytest.raises(PackError, match="did not end within"):
        run_git(("fetch",), tmp_path, replace(USUAL, git_seconds=0.3))
    assert gone(pids)


def test_a_cancelled_command_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pids = hanging(tmp_path, monkeypatch)
    cancel = threading.Event()
    threading.Timer(0.3, cancel.set).start()
    with pytest.raises(Interrupted):
        run_git(("fetch",), tmp_path, USUAL, cancel=cancel)
    assert gone(pids)


def test_what_servers_say_is_made_printable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = tmp_path / "git"
    fake.write_text(
        "#!/bin/sh\nprintf 'remote: \\033[31mgo \\007away\\nfatal: \\033]0;x\\007no\\n' >&2; exit 1\n"
    )
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(GitFailed) as caught:
        run_git(("fetch",), tmp_path, USUAL)
    assert str(caught.value).isprintable()
    assert "\x1b" not in str(caught.value.facts["stderr"])


def test_without_git(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(command.shutil, "which", lambda name: None)
    with pytest.raises(PackError, match="git is not installed") as caught:
        check_git()
    assert ".zip" in str(caught.value.hint)
