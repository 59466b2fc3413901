"""Opening weights files: mapped and not copied, safe, and clear about what is wrong."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from comfykit.errors import ModelFileError
from comfykit.weights import read
from comfykit.weights.read import open_weights, take

DTYPES = (torch.float32, torch.float16, torch.bfloat16, torch.float8_e4m3fn, torch.int64)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_safetensors_give_back_what_was_saved(tmp_path: Path, dtype: torch.dtype) -> None:
    saved = {"a.b": torch.randn(3, 5).mul(10).to(dtype), "c": torch.ones(()).to(dtype)}
    save_file(saved, tmp_path / "x.safetensors", metadata={"k": "v"})
    file = open_weights(tmp_path / "x.safetensors")
    assert file.path == tmp_path / "x.safetensors"
    assert file.metadata == {"k": "v"}
    assert file.shapes == {"a.b": (3, 5), "c": ()}
    for name, tensor in saved.items():
        assert file.tensors[name].dtype == dtype
        assert torch.equal(file.tensors[name].double(), tensor.double())


def test_tensors_opened_in_inference_mode_can_be_used_outside(tmp_path: Path) -> None:
    save_file({"a": torch.ones(3)}, tmp_path / "x.safetensors")
    torch.save({"a": torch.ones(3)}, tmp_path / "x.ckpt")
    with torch.inference_mode():
        files = [open_weights(tmp_path / name) for name in ("x.safetensors", "x.ckpt")]
    assert not any(file.tensors["a"].is_inference() for file in files)


def mapped_ranges(path: Path) -> list[tuple[int, int]]:
    lines = Path("/proc/self/maps").read_text().splitlines()
    ranges = (line.split()[0].split("-") for line in lines if line.endswith(str(path)))
    return [(int(first, 16), int(last, 16)) for first, last in ranges]


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("name", ["x.safetensors", "x.ckpt"])
def test_tensors_are_the_bytes_of_the_file(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    tensors = {"a": torch.randn(300, 500), "b": torch.randn(7)}
    if path.suffix == ".ckpt":
        torch.save(tensors, path)
    else:
        save_file(tensors, path)
    file = open_weights(path)
    ranges = mapped_ranges(path)
    for tensor in file.tensors.values():
        begin, end = tensor.data_ptr(), tensor.data_ptr() + tensor.nbytes
        assert any(first <= begin and end <= last for first, last in ranges)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_opening_a_large_file_takes_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    save_file({str(n): torch.zeros(1 << 20) for n in range(48)}, path)  # 192 MiB
    code = f"""
from pathlib import Path
from comfykit.weights.read import open_weights
pages = lambda: int(Path("/proc/self/statm").read_text().split()[1])
before = pages()
file = open_weights(Path({str(path)!r}))
print((pages() - before) * {os.sysconf("SC_PAGE_SIZE")})
"""
    run = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert int(run.stdout) < 32 << 20


def test_writing_to_a_tensor_does_not_reach_the_file(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    save_file({"a": torch.zeros(1000)}, path)
    before = path.read_bytes()
    open_weights(path).tensors["a"].fill_(1.0)
    assert path.read_bytes() == before


def test_a_tensor_outlives_the_file_that_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    save_file({"a": torch.ones(1000)}, path)
    tensor = open_weights(path).tensors["a"]
    save_file({"a": torch.zeros(1000)}, tmp_path / "new")
    (tmp_path / "new").replace(path)
    assert tensor.eq(1).all()


@pytest.mark.parametrize("suffix", [".ckpt", ".pt", ".pth", ".bin"])
@pytest.mark.parametrize("legacy", [False, True])
def test_pickles_of_tensors_load(tmp_path: Path, suffix: str, legacy: bool) -> None:
    path = tmp_path / f"x{suffix}"
    torch.save({"a": torch.arange(4.0), "epoch": 3}, path, _use_new_zipfile_serialization=not legacy)
    file = open_weights(path)
    assert list(file.tensors) == ["a"]
    assert torch.equal(file.tensors["a"], torch.arange(4.0))


@pytest.mark.parametrize(
    "wrap",
    [
        lambda t: {"state_dict": t, "global_step": 7},
        lambda t: {"params": {"a": torch.zeros(1)}, "params_ema": t},
        lambda t: {"params": t},
        lambda t: {"state_dict": {"model": t}},
        lambda t: {"model": t, "optimizer": {"state": {}}},
    ],
)
def test_tensors_are_taken_out_of_what_wraps_them(tmp_path: Path, wrap) -> None:
    torch.save(wrap({"a": torch.arange(4.0)}), tmp_path / "x.pt")
    assert torch.equal(open_weights(tmp_path / "x.pt").tensors["a"], torch.arange(4.0))


def test_a_pickled_embedding_is_its_vectors(tmp_path: Path) -> None:
    torch.save({"string_to_token": {"*": 265}, "string_to_param": {"*": torch.ones(2, 8)}}, tmp_path / "x.pt")
    assert open_weights(tmp_path / "x.pt").shapes == {"*": (2, 8)}


@pytest.mark.parametrize("content", [[1, 2], {"epoch": 3}, {"params": {"lr": 0.1}}, torch.zeros(3)])
def test_a_pickle_without_named_tensors_is_refused(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "x.pt")
    with pytest.raises(ModelFileError, match="no tensors by name"):
        open_weights(tmp_path / "x.pt")


def test_a_mapping_that_holds_itself_is_refused(tmp_path: Path) -> None:
    content: dict[str, object] = {}
    content["params"] = content
    torch.save(content, tmp_path / "x.pt")
    with pytest.raises(ModelFileError, match="no tensors by name"):
        open_weights(tmp_path / "x.pt")


class Hostile:
    """Unpickling it runs a command that leaves a file."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, ...]:
        return os.system, (f"touch {self.mark}",)


@pytest.mark.parametrize("way", ["zip", "legacy", "plain"])
def test_a_hostile_pickle_does_not_run(tmp_path: Path, way: str) -> None:
    path, mark = tmp_path / "x.ckpt", tmp_path / "ran"
    content = {"a": torch.zeros(2), "b": Hostile(mark)}
    if way == "plain":
        path.write_bytes(pickle.dumps(content, protocol=2))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=way == "zip")
    with pytest.raises(ModelFileError, match="could run any code") as caught:
        open_weights(path)
    assert caught.value.hint == "use the safetensors file of the same model"
    assert not mark.exists()


def test_an_old_torch_opens_no_pickle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.save({"a": torch.zeros(2)}, tmp_path / "x.pt")
    monkeypatch.setattr(read.torch, "__version__", "2.9.1+cpu")
    with pytest.raises(ModelFileError, match="does not open those safely"):
        open_weights(tmp_path / "x.pt")


def test_a_pickle_named_safetensors_is_refused(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(2)}, tmp_path / "x.safetensors")
    with pytest.raises(ModelFileError, match="PyTorch or zip archive"):
        open_weights(tmp_path / "x.safetensors")


def test_safetensors_named_ckpt_are_read(tmp_path: Path) -> None:
    save_file({"a": torch.ones(2)}, tmp_path / "x.ckpt")
    assert open_weights(tmp_path / "x.ckpt").tensors["a"].tolist() == [1.0, 1.0]


@pytest.mark.parametrize("keep", [0.2, 0.6, 0.95])
@pytest.mark.parametrize("name", ["x.ckpt", "x.safetensors", "legacy.pt"])
def test_a_cut_file_is_said_to_be_cut(tmp_path: Path, name: str, keep: float) -> None:
    path = tmp_path / name
    tensors = {"a": torch.randn(500), "b": torch.randn(40)}
    if name == "x.safetensors":
        save_file(tensors, path)
    else:
        torch.save(tensors, path, _use_new_zipfile_serialization=name == "x.ckpt")
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * keep)])
    with pytest.raises(ModelFileError, match="cut off"):
        open_weights(path)


def test_an_html_page_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.ckpt").write_bytes(b"<!doctype html><title>Log in</title>")
    with pytest.raises(ModelFileError, match="HTML page"):
        open_weights(tmp_path / "x.ckpt")


def test_take_strips_the_prefix() -> None:
    a, b = torch.zeros(1), torch.zeros(2)
    assert take({"m.a.w": a, "m.b": b, "n.a.w": b, "xm.c": b}, "m.") == {"a.w": a, "b": b}
