"""The models of a home: finding, verifying, exporting, removing them, and what is left beside them."""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path, PurePosixPath

import pytest

from comfykit.errors import ModelFileError, UsageError
from comfykit.events import Event, TransferEnded, TransferStarted
from comfykit.fetch.entry import ManifestEntry
from comfykit.fetch.index import HashIndex, open_index
from comfykit.fetch.parse import parse
from comfykit.fetch.provenance import Provenance, provenances, record_provenance
from comfykit.fetch.state_file import read_state, state_path
from comfykit.home import Home
from comfykit.services.export_models import export_manifest
from comfykit.services.models import Model, find_models, list_models, remove_models
from comfykit.services.prune_models import leftovers, prune
from comfykit.services.verify_models import Verdict, verify_models
from fetch_support import PAGE, files_below, safetensors, sha256

A, B = safetensors(100, 1), safetensors(200, 2)
URL = "https://hub.example/a.safetensors"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """Two models of the home, one of a further folder, one of the package."""
    home = Home(tmp_path / "home", {"vae": (tmp_path / "extra",)}, tmp_path / "package")
    for path, data in (
        (home.models / "checkpoints/sub/a.safetensors", A),
        (home.models / "clip/t.safetensors", B),
        (tmp_path / "extra/v.safetensors", A),
        (tmp_path / "package/vae/demo.safetensors", B),
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    (home.models / "checkpoints/notes.txt").write_text("no model")
    (home.models / "checkpoints/.hidden.safetensors").write_bytes(A)
    return home


def models(home: Home, kind: str | None = None) -> list[Model]:
    return list_models(home, open_index(home), kind=kind)


def came_from(home: Home, target: str, data: bytes, *urls: str, needs: tuple[str, ...] = ()) -> None:
    kept = Provenance(urls or (URL,), len(data), sha256(data), needs)
    record_provenance(home, {PurePosixPath(target): kept})


def titles(found: list[Model]) -> list[str]:
    return [model.title for model in found]


ALL = [
    "checkpoints/sub/a.safetensors",
    "text_encoders/t.safetensors",
    "vae/demo.safetensors",
    "vae/v.safetensors",
]


def test_models_are_listed_by_kind_wherever_they_lie(home: Home) -> None:
    found = models(home)
    assert titles(found) == ALL
    assert [model.packaged for model in found] == [False, False, True, False]
    assert [str(model.target) for model in found if model.target] == [
        "checkpoints/sub/a.safetensors",
        "clip/t.safetensors",
    ]
    assert titles(models(home, "clip")) == [ALL[1]]
    assert {model.sha256 for model in found} == {None}


def test_a_home_that_is_not_there_has_no_models(tmp_path: Path) -> None:
    assert models(Home(tmp_path / "none")) == []


def test_a_kind_of_one_s_own_is_a_kind_and_a_wrong_word_is_not(home: Home) -> None:
    (home.models / "my_kind").mkdir()
    (home.models / "my_kind/x.pt").write_bytes(b"x")
    assert titles(models(home, "my_kind")) == ["my_kind/x.pt"]
    with pytest.raises(UsageError) as caught:
        models(home, "checkpoint")
    assert caught.value.hint == "did you mean checkpoints?"


def test_a_file_of_any_suffix_that_was_fetched_is_a_model(home: Home) -> None:
    (home.models / "checkpoints/a.yaml").write_bytes(A)
    came_from(home, "checkpoints/a.yaml", A)
    (model,) = [model for model in models(home) if model.name == "a.yaml"]
    assert model.source == URL


def test_the_source_of_other_bytes_is_not_the_source(home: Home) -> None:
    came_from(home, "checkpoints/sub/a.safetensors", B)
    assert models(home)[0].source is None
    came_from(home, "checkpoints/sub/a.safetensors", A)
    assert models(home)[0].source == URL


@pytest.mark.parametrize(
    ("word", "found"),
    [
        ("checkpoints/sub/a.safetensors", [ALL[0]]),
        ("models/checkpoints/sub/a.safetensors", [ALL[0]]),
        ("a.safetensors", [ALL[0]]),
        ("clip/*", []),
        ("models/clip/t.safetensors", [ALL[1]]),
        ("vae/*", ALL[2:]),
        ("*.safetensors", ALL),
    ],
)
def test_words_mean_models(home: Home, word: str, found: list[str]) -> None:
    if found:
        assert titles(find_models(models(home), [word, word])) == found
    else:
        with pytest.raises(ModelFileError, match="is installed"):
            find_models(models(home), [word])


def test_a_word_that_means_none_names_the_nearest_and_what_fetches_it(home: Home) -> None:
    with pytest.raises(ModelFileError) as caught:
        find_models(models(home), ["vae/demmo.safetensors"])
    assert str(caught.value.hint).startswith("did you mean vae/demo.safetensors")
    with pytest.raises(ModelFileError) as caught:
        find_models(models(home), ["checkpoints/v1-5-pruned-emaonly.safetensors"])
    assert "comfykit install-models manifests/" in str(caught.value.hint)


# Verifying


def verify(home: Home, *, again: bool = False, events: list[Event] | None = None) -> dict[str, Verdict]:
    index = open_index(home)
    found = list_models(home, index)
    told = [] if events is None else events
    verdicts = verify_models(found, index, jobs=2, again=again, reporter=told.append)
    assert [verdict.model.title for verdict in verdicts] == titles(found)
    return {verdict.model.title: verdict for verdict in verdicts}


def test_models_are_hashed_once_and_the_second_time_is_instant(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    came_from(home, "checkpoints/sub/a.safetensors", A)
    events: list[Event] = []
    verdicts = verify(home, events=events)
    assert [verdicts[title].status for title in ALL] == ["ok", "unknown", "unknown", "unknown"]
    assert verdicts[ALL[0]].model.sha256 == sha256(A)
    assert sum(isinstance(event, TransferStarted) for event in events) == 4
    assert sum(isinstance(event, TransferEnded) for event in events) == 4
    monkeypatch.setattr("comfykit.fetch.index.hash_file", lambda *a, **k: pytest.fail("a file was read"))
    events.clear()
    assert [verdict.status for verdict in verify(home, events=events).values()] == ["ok", *["unknown"] * 3]
    assert events == []


def test_bytes_that_changed_are_found(home: Home) -> None:
    came_from(home, "checkpoints/sub/a.safetensors", A)
    (home.models / "checkpoints/sub/a.safetensors").write_bytes(safetensors(100, 9))
    (home.models / "clip/t.safetensors").write_bytes(PAGE)
    verdicts = verify(home)
    assert verdicts[ALL[0]].status == "wrong"
    assert sha256(A) in verdicts[ALL[0]].note
    assert sha256(safetensors(100, 9)) in verdicts[ALL[0]].note
    assert verdicts[ALL[1]].status == "broken"
    assert "HTML page" in verdicts[ALL[1]].note
    assert not any(verdicts[title].is_good for title in ALL[:2])


def test_bytes_that_changed_behind_the_system_s_back_are_found_when_all_are_read(home: Home) -> None:
    path = home.models / "checkpoints/sub/a.safetensors"
    verify(home)
    status = path.stat()
    path.write_bytes(safetensors(100, 9))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert verify(home)[ALL[0]].is_good
    verdict = verify(home, again=True)[ALL[0]]
    assert verdict.status == "wrong"
    assert "disk may be failing" in verdict.note


def test_a_shipped_list_may_know_the_checksum(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    for sha, status in ((sha256(A), "ok"), ("a" * 64, "wrong")):
        listed = ManifestEntry(("https://h/a",), PurePosixPath("checkpoints/a.pt"), "list.txt", 1, sha)
        monkeypatch.setattr(
            "comfykit.services.verify_models.entry_for",
            lambda kind, name, listed=listed: listed if kind == "checkpoints" else None,
        )
        verdict = verify(home)[ALL[0]]
        assert verdict.status == status
        assert "list.txt" in verdict.note


def test_a_file_that_cannot_be_read_stops_no_other(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: HashIndex, path: Path, **more: object) -> str:
        if path.name == "t.safetensors":
            raise OSError(5, "Input/output error")
        return "0" * 64

    monkeypatch.setattr(HashIndex, "sha256", refuse)
    verdicts = verify(home)
    assert [verdicts[title].status for title in ALL] == ["unknown", "unreadable", "unknown", "unknown"]
    assert "Input/output error" in verdicts[ALL[1]].note


# Exporting


def exported(home: Home) -> tuple[str, list[Model]]:
    return export_manifest([verdict.model for verdict in verify(home).values()])


def test_an_export_is_a_manifest_of_the_same_files(home: Home) -> None:
    came_from(home, "checkpoints/sub/a.safetensors", A, URL, "https://mirror.example/a")
    text, homeless = exported(home)
    parsed = parse(text.encode(), "export")
    assert parsed.problems == parsed.warnings == []
    (entry,) = parsed.entries
    assert entry.urls == (URL, "https://mirror.example/a")
    assert (entry.path, entry.sha256) == ("models/checkpoints/sub/a.safetensors", sha256(A))
    assert entry.size == len(A)
    assert titles(homeless) == [ALL[1], ALL[3]]
    assert (
        f"# models/vae/v.safetensors: its source is not known ({len(A)} bytes, sha-256 {sha256(A)})" in text
    )
    assert "demo" not in text


def test_an_export_keeps_the_folder_and_names_the_header_without_its_value(home: Home) -> None:
    came_from(home, "clip/t.safetensors", B, needs=("Authorization",))
    text, _ = exported(home)
    (entry,) = parse(text.encode(), "export").entries
    assert entry.path == "models/clip/t.safetensors"
    assert entry.headers == ()
    assert "the header Authorization" in text


def test_a_shipped_address_is_taken_for_the_same_bytes_alone(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    for sha, found in ((sha256(A), 1), ("a" * 64, 0), (None, 0)):
        listed = ManifestEntry(("https://h/a",), PurePosixPath("checkpoints/a.pt"), "list.txt", 1, sha)
        monkeypatch.setattr(
            "comfykit.services.export_models.entry_for",
            lambda kind, name, listed=listed: listed if kind == "checkpoints" else None,
        )
        assert len(parse(exported(home)[0].encode(), "export").entries) == found


def test_a_name_that_a_manifest_cannot_hold_stands_as_a_comment(home: Home) -> None:
    path = home.models / "checkpoints/what?.safetensors"
    path.write_bytes(A)
    came_from(home, "checkpoints/what?.safetensors", A)
    text, homeless = exported(home)
    assert parse(text.encode(), "export").entries == []
    assert "checkpoints/what?.safetensors" in titles(homeless)


# Removing and pruning


def test_models_of_the_home_are_removed_with_what_is_known_of_them(home: Home) -> None:
    came_from(home, "clip/t.safetensors", B)
    assert remove_models(home, models(home)[:2]) == len(A) + len(B)
    assert titles(models(home)) == ALL[2:]
    assert provenances(home) == {}


@pytest.mark.parametrize("which", [2, 3])
def test_other_models_are_not_removed_and_then_none_is(home: Home, which: int) -> None:
    found = models(home)
    with pytest.raises(UsageError, match="is not removed"):
        remove_models(home, [found[0], found[which]])
    assert titles(models(home)) == ALL


def test_a_link_is_removed_and_not_its_file(home: Home, tmp_path: Path) -> None:
    (tmp_path / "real.safetensors").write_bytes(A)
    (home.models / "checkpoints/link.safetensors").symlink_to(tmp_path / "real.safetensors")
    remove_models(home, find_models(models(home), ["link.safetensors"]))
    assert (tmp_path / "real.safetensors").read_bytes() == A


LEFT = {
    ".x.pt.part": "partial",
    ".x.pt.part.json": "partial",
    ".x.pt.part.json.new": "partial",
    ".x.pt.part.aria2": "partial",
    ".y.pt.rejected": "rejected",
    ".y.pt.rejected.txt": "rejected",
    ".z.pt.0123abcd.copy": "copy",
}


def leave(home: Home) -> dict[str, bytes]:
    """Put leftovers into the home; what it held before."""
    before = files_below(home.models)
    for name in LEFT:
        (home.models / "checkpoints" / name).write_bytes(b"x" * 5000)
    return before


def test_leftovers_go_and_all_else_stays(home: Home) -> None:
    before = leave(home)
    found = leftovers(home)
    assert {left.path.name: left.what for left in found} == LEFT
    assert prune(home, found, open_index(home)) >= 5000 * len(LEFT)
    assert files_below(home.models) == before


def test_a_partial_file_in_use_stays_with_its_journal(home: Home) -> None:
    leave(home)
    with (home.models / "checkpoints/.x.pt.part").open("r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        found = leftovers(home)
        assert {left.path.name for left in found if left.busy} == {name for name in LEFT if ".x.pt" in name}
        prune(home, found, open_index(home))
    names = {Path(name).name for name in files_below(home.models)}
    assert names & set(LEFT) == {name for name in LEFT if ".x.pt" in name}


def test_a_link_that_is_called_like_a_leftover_stays(home: Home, tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(b"x")
    link = home.models / "checkpoints/.x.pt.part"
    link.symlink_to(tmp_path / "real")
    assert leftovers(home) == []


def test_notes_on_files_that_are_gone_go_too(home: Home) -> None:
    verify(home)
    for target, data in (("clip/t.safetensors", B), ("checkpoints/sub/a.safetensors", A)):
        came_from(home, target, data)
    (home.models / "clip/t.safetensors").unlink()
    prune(home, [], open_index(home))
    assert list(provenances(home)) == ["checkpoints/sub/a.safetensors"]
    assert "models/clip/t.safetensors" not in read_state(state_path(home, "hashes.json"))
    assert json.loads(state_path(home, "hashes.json").read_text())["version"] == 1
