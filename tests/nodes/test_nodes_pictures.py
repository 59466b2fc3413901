from __future__ import annotations

import io
import json
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from comfykit.errors import UsageError
from comfykit.nodes.pictures import (
    is_png_keyword,
    metadata,
    read_channel,
    read_picture,
    to_picture,
    write_png,
)


def saved(folder: Path, picture: Image.Image, name: str = "p.png", **options: object) -> Path:
    picture.save(folder / name, **options)  # type: ignore[arg-type]
    return folder / name


def test_rgb(tmp_path: Path) -> None:
    pixels = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    images, mask = read_picture(saved(tmp_path, Image.fromarray(pixels)))
    assert images.dtype == torch.float32
    assert torch.equal(images, torch.from_numpy(pixels[None].astype(np.float32) / 255))
    assert torch.equal(mask, torch.zeros(1, 64, 64))


def test_alpha_is_a_mask_turned_round(tmp_path: Path) -> None:
    images, mask = read_picture(saved(tmp_path, Image.new("RGBA", (3, 2), (255, 0, 0, 51))))
    assert images.shape == (1, 2, 3, 3)
    assert images[0, 0, 0].tolist() == [1.0, 0.0, 0.0]  # the colour under the transparency
    torch.testing.assert_close(mask, torch.full((1, 2, 3), 0.8))


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "CMYK", "I;16"])
def test_other_modes_become_rgb(tmp_path: Path, mode: str) -> None:
    name = "p.tif" if mode == "CMYK" else "p.png"
    images, _ = read_picture(saved(tmp_path, Image.new("L", (3, 2), 255).convert(mode), name))
    assert images.shape == (1, 2, 3, 3)


def test_a_palette_with_transparency(tmp_path: Path) -> None:
    picture = Image.new("P", (2, 1))
    picture.putpalette([255, 0, 0, 0, 0, 255])
    picture.putpixel((1, 0), 1)
    images, mask = read_picture(saved(tmp_path, picture, transparency=1))
    assert images[0, 0].tolist() == [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]
    assert mask.tolist() == [[[0.0, 1.0]]]


@pytest.mark.parametrize("kind", [np.uint16, np.int32])
def test_sixteen_bits(tmp_path: Path, kind: type) -> None:
    pixels = np.array([[0, 1000, 65535]], kind)
    path = saved(tmp_path, Image.fromarray(pixels), "p.tif")
    images, _ = read_picture(path)
    torch.testing.assert_close(images[0, 0, :, 0], torch.tensor([0.0, 1000 / 65535, 1.0]))
    assert torch.equal(images[..., 0], images[..., 2])
    assert read_channel(path, "red")[0, 0].tolist() == pytest.approx([0.0, 3 / 255, 1.0])


def test_float_pictures(tmp_path: Path) -> None:
    images, _ = read_picture(saved(tmp_path, Image.fromarray(np.array([[0.25, 1.0]], np.float32)), "p.tif"))
    assert images[0, 0, :, 1].tolist() == [0.25, 1.0]


def test_pictures_stand_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    path = saved(tmp_path, Image.new("RGB", (4, 2)), "p.jpg", exif=exif)
    assert read_picture(path)[0].shape == (1, 4, 2, 3)
    assert read_channel(path, "red").shape == (1, 4, 2)


def test_frames_of_one_size_are_a_batch(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (3, 2), (shade, 0, 0)) for shade in (0, 100, 200)]
    path = saved(tmp_path, frames[0], "p.webp", save_all=True, append_images=frames[1:], lossless=True)
    images, mask = read_picture(path)
    assert (images[:, 0, 0, 0] * 255).round().tolist() == [0, 100, 200]
    assert mask.shape == (3, 64, 64)


def test_frames_of_other_sizes_are_left_out(tmp_path: Path) -> None:
    frames = [Image.new("L", size, 255) for size in ((3, 2), (5, 5), (3, 2))]
    path = saved(tmp_path, frames[0], "p.tif", save_all=True, append_images=frames[1:])
    assert read_picture(path)[0].shape == (2, 2, 3, 3)


def test_only_the_first_of_a_phones_pictures(tmp_path: Path) -> None:
    other = Image.new("RGB", (16, 16), "red")
    path = saved(
        tmp_path, Image.new("RGB", (16, 16)), "p.jpg", format="MPO", save_all=True, append_images=[other]
    )
    assert read_picture(path)[0].shape == (1, 16, 16, 3)


def test_channels(tmp_path: Path) -> None:
    path = saved(tmp_path, Image.new("RGBA", (3, 2), (255, 0, 51, 51)))
    found = {
        channel: float(read_channel(path, channel)[0, 0, 0]) for channel in ("red", "green", "blue", "alpha")
    }
    assert found == pytest.approx({"red": 1.0, "green": 0.0, "blue": 0.2, "alpha": 0.8})
    assert (
        read_channel(saved(tmp_path, Image.new("RGB", (3, 2))), "alpha").tolist()
        == torch.zeros(1, 2, 3).tolist()
    )


# What is no picture


def test_broken_pictures(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"<!doctype html>")
    with pytest.raises(UsageError, match=r"a\.png is not a picture"):
        read_picture(tmp_path / "a.png")
    buffer = io.BytesIO()
    Image.effect_noise((64, 64), 50).save(buffer, "PNG")
    (tmp_path / "b.png").write_bytes(buffer.getvalue()[:1000])
    for read in (read_picture, lambda path: read_channel(path, "red")):
        with pytest.raises(UsageError, match=r"b\.png is broken"):
            read(tmp_path / "b.png")


def test_too_many_pixels(tmp_path: Path) -> None:
    path = saved(tmp_path, Image.new("1", (20_000, 20_000)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UsageError, match="too many pixels"):
            read_picture(path)


def test_too_many_frames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frames = [Image.new("L", (4, 4), shade) for shade in range(5)]
    path = saved(tmp_path, frames[0], "p.tif", save_all=True, append_images=frames[1:])
    assert len(read_picture(path)[0]) == 5
    monkeypatch.setattr("comfykit.nodes.pictures.MAX_PIXELS", 4 * 16)
    with pytest.raises(UsageError, match="more than the 4 frames"):
        read_picture(path)


# Writing


def test_every_level_survives(tmp_path: Path) -> None:
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, 2)
    images, _ = read_picture(saved(tmp_path, Image.fromarray(levels)))
    assert np.array_equal(np.asarray(to_picture(images[0])), levels)


def test_values_are_cut_off_and_fractions_dropped() -> None:
    shades = torch.tensor([-1.0, 0.999, 2.0, float("nan"), float("inf")]).view(1, 5, 1)
    assert np.asarray(to_picture(shades)).tolist() == [[0, 254, 255, 0, 255]]


def test_writing_leaves_the_tensor_alone() -> None:
    image = torch.full((2, 2, 3), 2.0)
    to_picture(image)
    assert (image == 2.0).all()


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (3, "RGB"), (4, "RGBA")])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_channels_give_the_mode(channels: int, mode: str, dtype: torch.dtype) -> None:
    picture = to_picture(torch.zeros(2, 3, channels, dtype=dtype))
    assert (picture.mode, picture.size) == (mode, (3, 2))


@pytest.mark.parametrize("shape", [(2, 3, 2), (2, 3), (1, 2, 3, 3)])
def test_tensors_that_are_no_picture(shape: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match="is no picture"):
        to_picture(torch.zeros(shape))


def test_texts_come_back(tmp_path: Path) -> None:
    texts = metadata({"1": {"text": "狐 é \n \0"}}, {"workflow": {"é": 1}, "prompt": "not this"})
    assert list(texts) == ["prompt", "workflow"]
    assert all(text.isascii() for text in texts.values())
    write_png(Image.new("RGB", (1, 1)), tmp_path / "p.png", {**texts, "plain": "狐"}, 4)
    with Image.open(tmp_path / "p.png") as picture:
        read = picture.text  # type: ignore[attr-defined]
    assert json.loads(read["prompt"]) == {"1": {"text": "狐 é \n \0"}}
    assert read == {**texts, "plain": "狐"}


def test_no_workflow_no_texts() -> None:
    assert metadata(None, None) == {}


def test_keywords() -> None:
    assert all(map(is_png_keyword, ("workflow", "é", "x" * 79)))
    assert not any(map(is_png_keyword, ("", "狐", "x" * 80, "a\nb", "a\0")))
