"""Several manifests as one list."""

from __future__ import annotations

import io
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comfykit.errors import ManifestError, UsageError
from comfykit.fetch.manifest import MAX_BYTES, Listing, read_manifests

GOOD = "https://host/a.safetensors\n  dir=models/vae\n"
HASH = "ab" * 32


def read(*sources: str, stdin: bytes = b"") -> Listing:
    return read_manifests(sources, io.BytesIO(stdin))


def write(folder: Path, **texts: str) -> list[str]:
    for name, text in texts.items():
        (folder / name).write_text(text)
    return [str(folder / name) for name in texts]


def test_standard_input_is_a_manifest() -> None:
    (entry,) = read("-", stdin=GOOD.encode()).entries
    assert entry.place == "standard input:1"


def test_problems_of_all_manifests_come_together(tmp_path: Path) -> None:
    one, two = write(tmp_path, one="x\n", two=GOOD + "  out=../b\n\n")
    with pytest.raises(ManifestError) as caught:
        read(one, two)
    lines = str(caught.value).splitlines()
    assert lines[0] == "2 problems in the manifests"
    assert lines[1].startswith(f"{one}:1: ")
    assert lines[2].startswith(f"{two}:3: ")
    assert caught.value.facts["file"] == one
    assert caught.value.facts["line"] == 1


def test_a_flood_of_problems_is_cut_short() -> None:
    with pytest.raises(ManifestError, match="and 950 more"):
        read("-", stdin=b"x\n" * 1000)


def test_the_same_entry_twice_is_one(tmp_path: Path) -> None:
    listing = read(*write(tmp_path, one=GOOD, two=GOOD + f"  checksum=sha-256={HASH}\n"))
    (entry,) = listing.entries
    assert entry.sha256 == HASH
    assert entry.file.endswith("one")


@pytest.mark.parametrize(
    ("second", "words"),
    [
        ("https://other/a.safetensors\n  dir=vae\n", "other addresses"),
        ("https://host/a.safetensors\n  dir=vae\n  out=A.SAFETENSORS\n  header=X: 1\n", "other headers"),
        ("https://other/a.safetensors\n  dir=vae\n  out=A.safetensors\n", "other addresses"),
    ],
)
def test_two_entries_for_one_target_clash(tmp_path: Path, second: str, words: str) -> None:
    one, two = write(tmp_path, one=GOOD, two=second)
    with pytest.raises(ManifestError, match=words) as caught:
        read(one, two)
    assert str(caught.value).startswith(f"{two}:1: ")
    assert f"{one}:1" in str(caught.value)


def test_checksums_that_differ_clash(tmp_path: Path) -> None:
    texts = {
        name: GOOD + f"  checksum=sha-256={digit * 64}\n" for name, digit in (("one", "a"), ("two", "b"))
    }
    with pytest.raises(ManifestError, match="another checksum"):
        read(*write(tmp_path, **texts))


def test_names_that_differ_in_unicode_form_are_one_target(tmp_path: Path) -> None:
    one, two = write(
        tmp_path,
        one="https://h/1.pt\n  dir=vae\n  out=caf\u00e9.pt\n",
        two="https://h/2.pt\n  dir=vae\n  out=cafe\u0301.pt\n",
    )
    with pytest.raises(ManifestError, match="other addresses"):
        read(one, two)


def test_a_manifest_that_is_not_there_names_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        read(str(tmp_path / "none.txt"))
    assert "manifests/sd15.txt" in str(caught.value.hint)
    with pytest.raises(UsageError, match="cannot be read"):
        read(str(tmp_path))


def test_a_shipped_list_is_found_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert read("manifests/sd15.txt").entries


def test_a_manifest_without_end_is_not_read_to_its_end() -> None:
    with pytest.raises(ManifestError, match="no list of models"):
        read_manifests(["/dev/zero"], io.BytesIO())
    with pytest.raises(ManifestError, match="no list of models"):
        read("-", stdin=b"#" * (MAX_BYTES + 1))


LINES = st.sampled_from(
    [
        "https://h/a.pt", "https://h/b.safetensors\thttps://m/b.safetensors", "#https://h/c.pt",
        "  dir=models/vae", "  dir=../..", "  dir=/", "\tout=x.pt", "  out=../x", "  out=%2e%2e/x",
        "  out=..／x", "  checksum=sha-256=" + HASH, "  header=A: b", "  on-download-complete=x",
        "#", "", "  # x",
    ]
)  # fmt: skip
MANIFESTS = st.one_of(
    st.binary(max_size=200),
    st.lists(st.one_of(LINES, st.text(max_size=20)), max_size=12).map(
        lambda lines: "\n".join(lines).encode()
    ),
    st.tuples(st.text(max_size=30), st.text(max_size=30)).map(
        lambda pair: f"https://h/a.pt\n  dir={pair[0]}\n  out={pair[1]}\n".encode("utf-8", "surrogatepass")
    ),
)


@given(MANIFESTS)
def test_any_bytes_give_safe_targets_or_a_manifest_error(data: bytes) -> None:
    try:
        listing = read("-", stdin=data)
    except ManifestError:
        return
    root = Path("/home/models")
    for entry in listing.entries:
        assert not entry.target.is_absolute()
        assert not {"..", ".", ""} & set(entry.target.parts)
        assert Path(root, entry.target).resolve().is_relative_to(root)
        assert len(PurePosixPath(entry.path).parts) >= 3
        assert all(url.startswith(("http://", "https://")) for url in entry.urls)
