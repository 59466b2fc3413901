from __future__ import annotations

import json
from pathlib import Path

import pytest
from safetensors import safe_open
from safetensors.torch import save_file

from comfykit.families import looks
from comfykit.families.load import load_checkpoint
from comfykit.families.looks import DECODER_KEY, RGB_KEY, Look, in_metadata, own_look
from comfykit.families.save import model_spec
from comfykit.weights.read import open_weights

ROWS = [[0.1, 0.2, 0.3], [0, 0, 0], [-1, 1, 0.5], [0.25, 0, 0]]
BIAS = [0.5, 0.0, -0.5]
OWN = Look("demo_taesd_decoder", tuple((float(r), float(g), float(b)) for r, g, b in ROWS), (0.5, 0.0, -0.5))


def test_published_maps_are_for_colours_from_minus_one_to_one() -> None:
    assert looks.SD.rgb[0] == (0.3512 / 2, 0.2297 / 2, 0.3227 / 2)
    assert looks.SD.bias == (0.5, 0.5, 0.5)
    assert looks.SDXL.bias == (0.5 + 0.1084 / 2, 0.5 - 0.0175 / 2, 0.5 - 0.0011 / 2)
    assert [len(look.rgb) for look in (looks.SD, looks.SDXL, looks.PLAYGROUND)] == [4, 4, 4]


def test_a_file_says_how_its_latents_look() -> None:
    said = {DECODER_KEY: "demo_taesd_decoder", RGB_KEY: json.dumps([*ROWS, BIAS])}
    assert own_look(said, 4) == OWN
    assert own_look({DECODER_KEY: "demo_taesd_decoder"}, 4) == Look("demo_taesd_decoder")
    assert own_look({RGB_KEY: said[RGB_KEY]}, 4) == Look(None, OWN.rgb, OWN.bias)
    assert own_look({"format": "pt"}, 4) is None


@pytest.mark.parametrize(
    "text",
    ["", "[", "3", "{}", json.dumps(ROWS), json.dumps([[1, 2]] * 5), '[["a", 1, 2]]', "[[NaN, 1, 2]]" * 5,
     "[[1, 2, Infinity], [0, 0, 0], [0, 0, 0], [0, 0, 0], [0, 0, 0]]", "[" * 100_000],
)  # fmt: skip
def test_a_map_that_does_not_fit_is_none(text: str) -> None:
    assert own_look({DECODER_KEY: "d", RGB_KEY: text}, 4) == Look("d")


@pytest.mark.parametrize("look", [OWN, Look("d"), Look(None, OWN.rgb)])
def test_what_is_written_is_read_again(look: Look) -> None:
    assert own_look(in_metadata(look), 4) == look


@pytest.mark.parametrize("look", [looks.SD, looks.SDXL, looks.PLAYGROUND, looks.UNKNOWN])
def test_looks_that_follow_from_the_family_are_not_written(look: Look) -> None:
    assert in_metadata(look) == {}


def test_a_checkpoint_carries_its_look_to_its_model_and_on(checkpoint_path: Path, tmp_path: Path) -> None:
    assert load_checkpoint(checkpoint_path).model.family.latent_format.look == looks.SD
    path = tmp_path / "own.safetensors"
    save_file(open_weights(checkpoint_path).tensors, path, in_metadata(OWN))
    with safe_open(path, framework="pt") as file:
        assert set(file.metadata()) == {DECODER_KEY, RGB_KEY}
    model = load_checkpoint(path).model
    assert model.family.latent_format.look == OWN
    assert model.family.latent_format.scale == 0.18215
    assert own_look(model_spec(model, "again"), 4) == OWN
