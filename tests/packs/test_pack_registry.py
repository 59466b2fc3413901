"""The Comfy registry, played by a server on 127.0.0.1 that answers as its API is documented."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from comfykit.errors import PackError
from comfykit.fetch.guide import Guide
from comfykit.fetch.mirror_rules import read_mirrors
from comfykit.packs.registry import Registry
from comfykit.packs.spec import GIT, REGISTRY, parse_spec
from comfykit.packs.staging import Origin, Staged, stage
from fetch_support import Answer, Server, serving, sha256, status, whole
from pack_sources_support import PACK, Heard, Repo, environment, files_of, settings, zip_of

PROJECT = '[project]\nname = "maths"\nversion = "1.2.0"\n'
ZIP = zip_of({**PACK, "pyproject.toml": PROJECT})


def version(server: Server, **more: object) -> dict[str, object]:
    """A version as `GET /nodes/{id}/install` answers it."""
    return {
        "id": "1d7c",
        "node_id": "maths",
        "version": "1.2.0",
        "downloadUrl": f"{server.url}/maths/1.2.0/node.zip",
        "status": "NodeVersionStatusActive",
        "deprecated": False,
        "dependencies": [],
        **more,
    }


def answer(document: object) -> Answer:
    return whole(json.dumps(document).encode(), "application/json")


def publish(server: Server, path: str = "/nodes/maths/install", **more: object) -> None:
    server.answers[path] = answer(version(server, **more))
    server.answers["/maths/1.2.0/node.zip"] = ZIP


def bring(text: str, server: Server, tmp_path: Path, heard: Heard | None = None, **env: str) -> Staged:
    spec = parse_spec(text, folder=tmp_path)
    area = tmp_path / "area"
    area.mkdir(exist_ok=True)
    return stage(
        spec,
        area,
        settings(tmp_path / "home", server.url),
        heard or Heard(),
        environment=environment(tmp_path, **env),
    )


@pytest.mark.parametrize("text", ["maths", "maths@latest"])
def test_the_newest_version(text: str, tmp_path: Path) -> None:
    with serving({}) as server:
        publish(server)
        staged = bring(text, server, tmp_path)
        assert server.seen[0][0] == "/nodes/maths/install"
    assert staged.folder == tmp_path / "area" / "maths"
    assert files_of(staged.folder) == {**PACK, "pyproject.toml": PROJECT}
    ref = "latest" if "@" in text else None
    url = f"{server.url}/maths/1.2.0/node.zip"
    assert staged.origin == Origin(REGISTRY, url, None, "1.2.0", "maths", ref, sha256(ZIP))
    assert staged.origin.pinned.text == "maths@1.2.0"
    assert staged.origin.newest.text == "maths"


def test_a_version_and_what_it_was_when_it_was_pinned(tmp_path: Path) -> None:
    with serving({}) as server:
        publish(server, "/nodes/maths/install?version=1.2.0")
        first = bring("maths@1.2.0", server, tmp_path)
        server.answers["/maths/1.2.0/node.zip"] = zip_of({**PACK, "more.py": ""})
        with pytest.raises(PackError, match="sha-256"):
            stage(
                first.origin.pinned,
                tmp_path / "b",
                settings(tmp_path, server.url),
                environment=environment(tmp_path),
            )
    assert not list((tmp_path / "b").iterdir())


def test_the_registry_behind_a_mirror(tmp_path: Path) -> None:
    with serving({}) as server:
        publish(server)
        guide = Guide(read_mirrors(f"https://api.comfy.org/={server.url}/"))
        release = Registry("https://api.comfy.org", guide, Heard()).release("maths", None)
    assert (release.id, release.version) == ("maths", "1.2.0")


@pytest.mark.parametrize("ref", ["nightly", "COMMIT"])
def test_the_repository_of_an_id(ref: str, tmp_path: Path) -> None:
    repo = Repo(tmp_path / "repo")
    commit = repo.commit()
    with serving({}) as server:
        server.answers["/nodes/maths"] = answer({"id": "maths", "repository": f"file://{repo.folder}"})
        staged = bring(f"maths@{ref.replace('COMMIT', commit)}", server, tmp_path)
    assert (staged.origin.kind, staged.origin.commit, staged.origin.name) == (GIT, commit, "maths")
    assert files_of(staged.folder) == PACK


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"status": "NodeVersionStatusBanned", "status_reason": "a miner"}, r"banned maths@1\.2\.0: a miner"),
        ({"status": "NodeVersionStatusDeleted"}, "withdrawn"),
        ({"status": "NodeVersionStatusFlagged"}, "flagged"),
        ({"downloadUrl": None}, "names no archive"),
        ({"downloadUrl": "http://packs.example/a.zip"}, "plain http"),
        ({"downloadUrl": "file:///etc/passwd"}, "cannot be asked"),
        ({"downloadUrl": "https://a@b.example/a.zip"}, "cannot be asked"),
        ({"version": 3}, "names no archive"),
        ({"status": "NodeVersionStatusBanned", "status_reason": "\x1b[31m"}, r"banned maths@1\.2\.0$"),
    ],
)
def test_versions_that_are_not_installed(more: Mapping[str, object], words: str, tmp_path: Path) -> None:
    with serving({}) as server:
        publish(server, **more)
        with pytest.raises(PackError, match=words):
            bring("maths", server, tmp_path)
    assert list((tmp_path / "area").iterdir()) == []


def test_what_is_said_aloud(tmp_path: Path) -> None:
    heard = Heard()
    with serving({}) as server:
        publish(server, status="NodeVersionStatusPending", deprecated=True)
        bring("maths", server, tmp_path, heard)
    assert [words.partition(" ")[0] for words in heard.warnings()] == ["the", "maths@1.2.0"]


def test_ids_and_versions_that_are_not_there(tmp_path: Path) -> None:
    with serving({}) as server:
        with pytest.raises(PackError, match="knows no pack 'maths'") as unknown:
            bring("maths", server, tmp_path)
        assert "./maths" in str(unknown.value.hint)
        with pytest.raises(PackError, match="knows no pack"):
            bring("maths@9.9", server, tmp_path)
        server.answers["/nodes/maths/versions"] = answer([{"version": "1.2.0"}, {"version": "1.1.0"}])
        with pytest.raises(PackError, match=r"no version 9\.9 of maths") as missing:
            bring("maths@9.9", server, tmp_path)
    assert missing.value.hint == "it has 1.2.0, 1.1.0"


@pytest.mark.parametrize(
    ("response", "words"),
    [
        (status(500), "answered 500"),
        (whole(b"<html>", "text/html"), "no JSON"),
        (answer(["maths"]), "no pack"),
        (answer({"version": "2.0.0", "downloadUrl": "https://x.example/a.zip"}), "was asked for"),
    ],
)
def test_a_registry_that_answers_nonsense(response: Answer, words: str, tmp_path: Path) -> None:
    with (
        serving({"/nodes/maths/install?version=1.0.0": response}) as server,
        pytest.raises(PackError, match=words),
    ):
        bring("maths@1.0.0", server, tmp_path)


def test_ids_that_are_known_to_do_harm(tmp_path: Path) -> None:
    with serving({}) as server:
        with pytest.raises(PackError, match="Akira Stealer"):
            bring("Upscaler_4K", server, tmp_path)
        assert server.seen == []
