from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from comfykit.errors import ModelFileError
from comfykit.events import Event, Warned
from comfykit.home import open_home
from comfykit.text.embeddings import EmbeddingFolder, read_embedding

WIDTH = 8
VECTORS = torch.arange(3 * WIDTH).float().reshape(3, WIDTH)
WIDER = torch.ones(3, 2 * WIDTH)


def write(path: Path, content: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".safetensors":
        save_file(content, path)  # type: ignore[arg-type]
    else:
        torch.save(content, path)
    return path


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.safetensors", {"emb_params": VECTORS}),
        ("x.safetensors", {"<fox>": VECTORS}),
        ("x.safetensors", {"clip_g": WIDER, "clip_l": VECTORS}),
        ("x.bin", {"<fox>": VECTORS}),
        ("x.pt", VECTORS),
        (
            "x.pt",
            {
                "string_to_token": {"*": torch.tensor(265)},
                "string_to_param": {"*": torch.nn.Parameter(VECTORS)},
                "name": "fox",
                "step": 500,
                "sd_checkpoint": None,
            },
        ),
    ],
)
def test_layouts(tmp_path: Path, name: str, content: object) -> None:
    assert torch.equal(read_embedding(write(tmp_path / name, content), WIDTH), VECTORS)


def test_one_vector_without_a_first_axis(tmp_path: Path) -> None:
    path = write(tmp_path / "x.bin", {"<fox>": VECTORS[1]})
    assert torch.equal(read_embedding(path, WIDTH), VECTORS[1:2])


def test_the_slot_of_the_second_encoder(tmp_path: Path) -> None:
    path = write(tmp_path / "x.safetensors", {"clip_g": WIDER, "clip_l": VECTORS})
    assert torch.equal(read_embedding(path, 2 * WIDTH, "clip_g"), WIDER)


def test_a_file_that_holds_itself(tmp_path: Path) -> None:
    content: dict[str, object] = {}
    content["string_to_param"] = content
    with pytest.raises(ModelFileError, match="holds no textual inversion"):
        read_embedding(write(tmp_path / "x.pt", content), WIDTH)


class Stranger:
    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return (exec, ("raise SystemExit('ran')",))


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("wide.safetensors", {"emb_params": WIDER}, "holds 3x16 values, this model takes vectors of 8"),
        ("cube.safetensors", {"emb_params": VECTORS[None]}, "1x3x8"),
        ("number.pt", {"step": torch.tensor(4)}, "holds 1 values"),
        ("empty.pt", {"string_to_param": {}}, "holds no textual inversion"),
        ("text.pt", "hello", "holds no textual inversion"),
        ("evil.pt", {"string_to_param": {"*": Stranger()}}, "not safe to load"),
    ],
)
def test_what_cannot_be_used(tmp_path: Path, name: str, content: object, says: str) -> None:
    with pytest.raises(ModelFileError, match=says) as caught:
        read_embedding(write(tmp_path / name, content), WIDTH)
    assert name in str(caught.value)


@pytest.mark.parametrize("name", ["x.pt", "x.bin", "x.safetensors"])
@pytest.mark.parametrize(
    "content", [b"", b"\x80\x02", b"<html>404</html>", pickle.dumps([1, 2], 2)[:-3], b"\x00" * 100]
)
def test_damaged_files(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelFileError, match=name):
        read_embedding(tmp_path / name, WIDTH)


@pytest.fixture
def said() -> list[Event]:
    return []


@pytest.fixture
def folder(tmp_path: Path, said: list[Event]) -> EmbeddingFolder:
    place = tmp_path / "models" / "embeddings"
    write(place / "fox.safetensors", {"emb_params": VECTORS})
    write(place / "v1.5.pt", {"string_to_param": {"*": VECTORS + 1}})
    write(place / "sub" / "snow.bin", {"<snow>": VECTORS + 2})
    write(place / "broad.safetensors", {"emb_params": WIDER})
    write(tmp_path / "secret.safetensors", {"emb_params": VECTORS})
    return EmbeddingFolder(open_home(tmp_path), WIDTH, reporter=said.append)


@pytest.mark.parametrize(
    ("name", "offset"),
    [("fox", 0), ("fox.safetensors", 0), ("v1.5", 1), ("v1.5.pt", 1), ("sub/snow", 2), ("sub/snow.bin", 2)],
)
def test_found_with_and_without_suffix(
    folder: EmbeddingFolder, said: list[Event], name: str, offset: int
) -> None:
    vectors = folder(name)
    assert vectors is not None
    assert torch.equal(vectors, VECTORS + offset)
    assert said == []


@pytest.mark.parametrize("name", ["foxes", "fox.pt", "snow", "../../secret", "sub", "broad", "x" * 5000])
def test_what_cannot_be_used_is_warned_about_and_ignored(
    folder: EmbeddingFolder, said: list[Event], name: str
) -> None:
    assert folder(name) is None
    (warning,) = said
    assert isinstance(warning, Warned)
    assert warning.message.startswith(f"embedding:{name} is ignored: ")


def test_a_near_name_is_offered(folder: EmbeddingFolder, said: list[Event]) -> None:
    folder("foxs")
    (warning,) = said
    assert isinstance(warning, Warned)
    assert warning.hint is not None
    assert warning.hint.startswith("did you mean fox.safetensors")
