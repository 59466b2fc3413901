from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from comfykit.errors import ModelFileError
from comfykit.weights.header import read_header
from comfykit.weights.read import open_weights
from comfykit.weights.write import Pending, ready, write_safetensors


def test_tensors_and_metadata_come_back(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    tensors = {
        "matrix": torch.randn(3, 4).T,
        "half": torch.randn(5).half(),
        "brain": torch.randn(2, 2).bfloat16(),
        "eight": torch.randn(3).to(torch.float8_e4m3fn),
        "number": torch.tensor(7),
        "none": torch.empty(0),
    }
    write_safetensors(path, {name: ready(tensor) for name, tensor in tensors.items()}, {"who": "ä"})
    found = load_file(path)
    assert found.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert found[name].dtype == tensor.dtype
        assert torch.equal(found[name].float(), tensor.float())
    with safe_open(path, framework="pt") as file:
        assert file.metadata() == {"who": "ä"}
    assert open_weights(path).metadata == {"who": "ä"}


def test_every_tensor_is_aligned_to_its_elements(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    tensors = {"a": torch.ones(3).half(), "b": torch.ones(1, dtype=torch.uint8), "c": torch.ones(5)}
    write_safetensors(path, {name: ready(tensor) for name, tensor in tensors.items()}, {})
    header = read_header(path)
    for name, info in header.tensors.items():
        assert (header.data_start + info.offsets[0]) % tensors[name].element_size() == 0


def test_one_tensor_is_made_at_a_time(tmp_path: Path) -> None:
    alive: list[str] = []
    most = 0

    def pending(name: str) -> Pending:
        def make() -> torch.Tensor:
            nonlocal most
            alive.append(name)
            most = max(most, len(alive) - len(done))
            return torch.ones(4)

        return Pending(torch.float32, (4,), make)

    done: list[int] = []
    write_safetensors(
        tmp_path / "x", {name: pending(name) for name in "abc"}, {}, lambda number, total: done.append(number)
    )
    assert (alive, done, most) == (["a", "b", "c"], [1, 2, 3], 1)


def test_a_tensor_that_is_not_as_announced_is_an_error(tmp_path: Path) -> None:
    pending = Pending(torch.float32, (2,), lambda: torch.ones(3))
    with pytest.raises(ValueError, match="not what was announced"):
        write_safetensors(tmp_path / "x", {"a": pending}, {})


def test_an_existing_file_is_not_written_over(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"mine")
    with pytest.raises(ModelFileError, match="cannot be written"):
        write_safetensors(path, {"a": ready(torch.ones(1))}, {})
    assert path.read_bytes() == b"mine"
