"""Headers of safetensors files: what is read, and every way in which one can be broken."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file

from comfykit.errors import ModelFileError
from comfykit.weights import header as header_module
from comfykit.weights.header import TensorInfo, read_header

A = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
B = {"dtype": "F16", "shape": [2, 2], "data_offsets": [8, 16]}


def entry(**changes: object) -> dict[str, object]:
    return {**A, **changes}


def test_reads_what_safetensors_wrote(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    tensors = {
        "a.weight": torch.zeros(3, 2),
        "b": torch.zeros((), dtype=torch.int64),
        "empty": torch.zeros(0),
    }
    save_file(tensors, path, metadata={"format": "pt", "modelspec.title": "Ünï"})
    found = read_header(path)
    assert found.shapes == {"a.weight": (3, 2), "b": (), "empty": (0,)}
    assert found.tensors["b"].dtype == "I64"
    assert found.metadata == {"format": "pt", "modelspec.title": "Ünï"}
    assert found.data_start + max(info.offsets[1] for info in found.tensors.values()) == path.stat().st_size


def test_needs_no_torch() -> None:
    code = "import sys, comfykit.weights.header; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_offsets_are_kept(write_raw) -> None:
    path = write_raw({"a": A, "b": B}, bytes(16))
    assert read_header(path).tensors["b"] == TensorInfo("F16", (2, 2), (8, 16))


def test_a_header_as_long_as_a_brace_is_no_json_text(write_raw) -> None:
    text = b'{"__metadata__":{"k":"%s"}}'
    text = text % (b"v" * (0x7B - len(text) + 2))
    assert len(text) == ord("{")
    assert read_header(write_raw(text)).tensors == {}


BROKEN_HEADERS = {
    "overlap": ({"a": A, "b": {**B, "data_offsets": [4, 12]}}, 12, "'b' overlaps"),
    "hole": ({"a": A, "b": {**B, "data_offsets": [12, 20]}}, 20, "'b' leaves a hole"),
    "hole at the start": ({"a": entry(data_offsets=[8, 16])}, 16, "'a' leaves a hole"),
    "reversed": ({"a": entry(data_offsets=[8, 0])}, 8, "'a' has impossible offsets"),
    "negative": ({"a": entry(data_offsets=[-8, 0])}, 8, "'a' has impossible offsets"),
    "float": ({"a": entry(data_offsets=[0.0, 8.0])}, 8, "'a' has impossible offsets"),
    "boolean": ({"a": entry(data_offsets=[False, 8])}, 8, "'a' has impossible offsets"),
    "beyond 2**63": ({"a": entry(data_offsets=[0, 2**63])}, 8, "'a' has impossible offsets"),
    "three": ({"a": entry(data_offsets=[0, 8, 16])}, 8, "'a' has impossible offsets"),
    "trailing": ({"a": A}, 11, "3 bytes more"),
    "shape does not fill": (
        {"a": entry(shape=[3])},
        8,
        "'a' of type F32 and shape [3] does not fill 8 bytes",
    ),
    "shape overflows": ({"a": entry(shape=[2**62, 2**62, 2**62])}, 8, "'a' of type F32"),
    "negative side": ({"a": entry(shape=[-1, -2])}, 8, "'a' has an impossible shape"),
    "zero side": ({"a": entry(shape=[2, 0])}, 8, "'a' of type F32"),
    "float side": ({"a": entry(shape=[2.0])}, 8, "'a' has an impossible shape"),
    "many sides": ({"a": entry(shape=[1] * 99 + [2])}, 8, "'a' has an impossible shape"),
    "shape no list": ({"a": entry(shape="22")}, 8, "'a' has an impossible shape"),
    "unknown type": ({"a": entry(dtype="F33")}, 8, "'a' has the unknown type 'F33'"),
    "type no string": ({"a": entry(dtype=["F32"])}, 8, "'a' has the unknown type"),
    "half a byte": ({"a": entry(dtype="F4", shape=[15])}, 8, "'a' of type F4"),
    "field missing": ({"a": {"dtype": "F32", "shape": [2]}}, 8, "'a' is not described"),
    "entry no object": ({"a": [0, 8]}, 8, "'a' is not described"),
    "metadata no strings": ({"__metadata__": {"n": 1}, "a": A}, 8, "metadata 'n' is no string"),
    "metadata no object": ({"__metadata__": "n", "a": A}, 8, "metadata is no JSON object"),
    "duplicate": (b'{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"a":1}', 0, "'a' twice"),
    "duplicate inside": (b'{"a":{"dtype":"U8","dtype":"U8","shape":[0],"data_offsets":[0,0]}}', 0, "twice"),
    "no utf-8": (b'{"\xff":1}', 0, "cannot be read"),
    "no json": (b'{"a":}', 0, "cannot be read"),
    "nan": (b'{"a":NaN}', 0, "NaN is no JSON"),
    "infinity": (b'{"a":-Infinity}', 0, "-Infinity is no JSON"),
    "long number": (b'{"a":' + b"9" * 5000 + b"}", 0, "cannot be read"),
    "nested": (b'{"a":' + b"[" * 100_000, 0, "nests too deep"),
    "nested objects": (b'{"a":' * 90_000, 0, "nests too deep"),
}


@pytest.mark.parametrize("case", BROKEN_HEADERS)
def test_refuses_a_broken_header(write_raw, case: str) -> None:
    header, size, said = BROKEN_HEADERS[case]
    path = write_raw(header, bytes(size))
    with pytest.raises(ModelFileError) as caught:
        read_header(path)
    assert said in str(caught.value)
    assert str(caught.value).startswith(str(path))
    assert caught.value.hint


def test_refuses_more_tensors_than_it_would_parse(write_raw, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(header_module, "MAX_TENSORS", 3)
    empty = {"dtype": "U8", "shape": [0], "data_offsets": [0, 0]}
    assert len(read_header(write_raw({str(n): empty for n in range(3)})).tensors) == 3
    with pytest.raises(ModelFileError, match="more than 3 tensors"):
        read_header(write_raw({str(n): empty for n in range(5)}))


@pytest.mark.parametrize("length", [100_000_001, 2**63, 2**64 - 1])
def test_refuses_an_impossible_length_before_reading(write_raw, length: int) -> None:
    with pytest.raises(ModelFileError, match="larger than 100 MB"):
        read_header(write_raw({"a": A}, bytes(8), length=length))


def test_says_how_much_of_a_cut_file_is_there(write_raw) -> None:
    path = write_raw({"a": A, "b": B}, bytes(16))
    whole = path.read_bytes()
    path.write_bytes(whole[:-6])
    with pytest.raises(ModelFileError, match=f"cut off: {len(whole) - 6} of {len(whole)} bytes") as caught:
        read_header(path)
    assert caught.value.hint == "delete it and fetch it again"


@pytest.mark.parametrize("keep", [1, 7, 8, 9, 30])
def test_a_file_cut_inside_its_header_is_cut_off(write_raw, keep: int) -> None:
    path = write_raw({"a": A, "b": B}, bytes(16))
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ModelFileError, match="cut off"):
        read_header(path)


@given(st.integers(0, 400), st.integers(0, 255))
def test_a_changed_byte_never_gets_past_as_another_error(
    tmp_path_factory: pytest.TempPathFactory, position: int, value: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "changed.safetensors"
    save_file({"a": torch.zeros(2, 3), "b": torch.zeros(5, dtype=torch.float16)}, path)
    content = bytearray(path.read_bytes())
    content[position % len(content)] = value
    path.write_bytes(content)
    try:
        found = read_header(path)
    except ModelFileError:
        return
    assert all(info.offsets[1] <= len(content) - found.data_start for info in found.tensors.values())


def test_a_missing_file_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="cannot be read: No such file"):
        read_header(tmp_path / "gone.safetensors")


def test_a_folder_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="cannot be read"):
        read_header(tmp_path)
