from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from comfykit.errors import ModelFileError
from comfykit.weights.hypernetwork import load_hypernetwork


def network(width: int, *, norm: bool = False) -> dict[str, Tensor]:
    """Two layers as the newer files name them, with a place for an activation after the first."""
    state = {
        "linear.0.weight": torch.randn(2 * width, width),
        "linear.0.bias": torch.randn(2 * width),
        "linear.3.weight": torch.randn(width, 2 * width),
        "linear.3.bias": torch.randn(width),
    }
    if norm:
        state |= {"linear.2.weight": torch.randn(2 * width), "linear.2.bias": torch.randn(2 * width)}
    return state


def saved(path: Path, **content: Any) -> Path:
    by_width = {8: (network(8), network(8)), 16: (network(16, norm=True), network(16, norm=True))}
    torch.save({**by_width, "step": 100, "name": "mine", "layer_structure": [1, 2, 1], **content}, path)
    return path


def test_networks_are_found_by_width_and_layers_by_shape(tmp_path: Path) -> None:
    found = load_hypernetwork(saved(tmp_path / "a.pt", activation_func="relu", activate_output=False))
    assert set(found.by_width) == {8, 16}
    assert [tuple(stage.weight.shape) for stage in found.by_width[8][0]] == [(16, 8), (8, 16)]
    assert [stage.norm is not None for stage in found.by_width[16][1]] == [True, False]
    assert (found.activation, found.activate_output) == ("relu", False)


@pytest.mark.parametrize("said", [None, "linear"])
def test_an_activation_may_be_none(tmp_path: Path, said: str | None) -> None:
    found = load_hypernetwork(saved(tmp_path / "a.pt", activation_func=said))
    assert (found.activation, found.activate_output) == (None, True)


def test_old_files_have_two_layers_of_other_names(tmp_path: Path) -> None:
    renamed = {"linear.0": "linear1", "linear.3": "linear2"}
    old = {f"{renamed[name[:8]]}{name[8:]}": tensor for name, tensor in network(8).items()}
    torch.save({8: (old, old)}, tmp_path / "a.pt")
    stages = load_hypernetwork(tmp_path / "a.pt").by_width[8][0]
    assert [stage.weight is not None and stage.bias is not None for stage in stages] == [True, True]


def test_other_files_are_refused(tmp_path: Path) -> None:
    torch.save({"weight": torch.zeros(2)}, tmp_path / "no.pt")
    with pytest.raises(ModelFileError, match="no hypernetwork in it"):
        load_hypernetwork(tmp_path / "no.pt")
    torch.save({8: ({"odd": torch.zeros(2)}, {})}, tmp_path / "odd.pt")
    with pytest.raises(ModelFileError, match="layers are not as they should be"):
        load_hypernetwork(tmp_path / "odd.pt")
    torch.save([torch.zeros(2)], tmp_path / "list.pt")
    with pytest.raises(ModelFileError, match="saved a mapping"):
        load_hypernetwork(tmp_path / "list.pt")


class Hostile:
    """Would run a function when it is unpickled."""

    def __reduce__(self) -> Any:
        return Path.touch, (Path("made_by_a_pickle"),)


def test_code_is_never_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelFileError, match="could run any code"):
        load_hypernetwork(saved(tmp_path / "bad.pt", optimizer=Hostile()))
    assert not (tmp_path / "made_by_a_pickle").exists()
