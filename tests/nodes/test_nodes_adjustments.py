from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image as Pillow
from PIL import ImageEnhance
from scipy.ndimage import convolve, gaussian_filter
from torch import Tensor

from comfykit.engine.define import node
from comfykit.nodes.adjustments import adjust_brightness, adjust_contrast, image_filter_adjustments
from comfykit.nodes.builtin import OF_PACKS, builtin_registry
from comfykit.nodes.types import Image

NOTHING: dict[str, object] = {
    name: spec.default for name, spec in builtin_registry()["Image Filter Adjustments"].inputs.items()
} | {"detail_enhance": "false"}
LUMA = np.array((0.299, 0.587, 0.114))  # ITU-R BT.601, which Pillow's gray has
ONE_LEVEL = 1 / 255 + 1e-6
# Pillow's ImageFilter.SMOOTH, to which ImageEnhance.Sharpness leads at 0.
SMOOTH = np.array(((1, 1, 1), (1, 5, 1), (1, 1, 1))) / 13
RING = np.pad(np.zeros((3, 3)), 1, constant_values=1) / 16
EDGE = [0, 1, -2, -1]


@pytest.fixture
def image() -> Tensor:
    levels = torch.randint(0, 256, (2, 12, 9, 3), generator=torch.Generator().manual_seed(5))
    return levels / 255


def adjusted(image: Tensor, **values: object) -> Tensor:
    return image_filter_adjustments(**{**NOTHING, "image": image, **values})  # type: ignore[arg-type]


@pytest.mark.parametrize("factor", [0.0, 0.4, 1.0, 1.7])
def test_brightness_is_that_of_pillow(image: Tensor, factor: float) -> None:
    made = adjust_brightness(image, factor)
    for one, other in zip(made, image, strict=True):
        picture = Pillow.fromarray((other * 255).round().byte().numpy())
        theirs = torch.from_numpy(np.asarray(ImageEnhance.Brightness(picture).enhance(factor)).copy()) / 255
        assert (one - theirs).abs().max() <= ONE_LEVEL


def test_contrast_turns_about_middle_gray() -> None:
    image = torch.tensor([0.0, 0.25, 0.5, 0.75, 1.0]).view(1, 1, 5, 1).expand(-1, -1, -1, 3)
    assert adjust_contrast(image, 2.0)[0, 0, :, 1].tolist() == [0.0, 0.0, 0.5, 1.0, 1.0]
    assert adjust_contrast(image, 0.5)[0, 0, :, 1].tolist() == [0.25, 0.375, 0.5, 0.625, 0.75]
    assert adjust_contrast(image, 0.0).unique().tolist() == [0.5]


@pytest.mark.parametrize("adjust", [adjust_brightness, adjust_contrast])
def test_alpha_stays(adjust: object) -> None:
    image = torch.rand(1, 2, 2, 4)
    made = adjust(image, 0.5)  # type: ignore[operator]
    assert torch.equal(made[..., 3], image[..., 3])
    assert not torch.equal(made[..., :3], image[..., :3])


def test_defaults_change_nothing(image: Tensor) -> None:
    assert torch.equal(adjusted(image), image)


def test_brightness_is_added_and_contrast_multiplied(image: Tensor) -> None:
    made = adjusted(image, brightness=0.1, contrast=1.5)
    torch.testing.assert_close(made, ((image + 0.1).clamp(0, 1) * 1.5).clamp(0, 1))


@pytest.mark.parametrize("factor", [0.0, 0.5, 1.6, 5.0])
def test_saturation_turns_about_the_gray_picture(image: Tensor, factor: float) -> None:
    pixels = np.rint(image.numpy() * 255)
    gray = np.rint(pixels @ LUMA)[..., None]
    expected = (gray + factor * (pixels - gray)).clip(0, 255) / 255
    # gray may be rounded the other way
    assert np.abs(adjusted(image, saturation=factor).numpy() - expected).max() <= (1 + factor) * ONE_LEVEL


@pytest.mark.parametrize("factor", [-1.0, 0.0, 0.5, 3.0])
def test_sharpness_turns_about_the_smoothed_picture(image: Tensor, factor: float) -> None:
    pixels = np.rint(image.numpy() * 255)
    smooth = np.rint(convolve(pixels, SMOOTH[None, ..., None]))
    expected = (smooth + factor * (pixels - smooth)).clip(0, 255) / 255
    made = adjusted(image, sharpness=factor).numpy()
    inside = (slice(None), slice(1, -1), slice(1, -1))  # Pillow leaves the outermost pixels as they are
    assert np.abs(made - expected)[inside].max() <= (1 + abs(factor)) * ONE_LEVEL


def test_blur_is_the_mean_of_a_ring(image: Tensor) -> None:
    made = image.numpy()
    for _ in range(2):
        blurred = convolve(made, RING[None, ..., None])
        blurred[:, EDGE], blurred[:, :, EDGE] = made[:, EDGE], made[:, :, EDGE]  # Pillow leaves them
        made = blurred
    assert np.abs(adjusted(image, blur=2).numpy() - made).max() <= 2 * ONE_LEVEL


def test_gaussian_blur() -> None:
    square = torch.zeros(1, 24, 24, 3)
    square[:, 8:16, 8:16] = 1.0
    expected = gaussian_filter(square.numpy(), (0, 1.5, 1.5, 0))
    # Pillow's is three box blurs in a row
    assert np.abs(adjusted(square, gaussian_blur=1.5).numpy() - expected).max() < 0.02


def test_edges_are_mixed_in() -> None:
    step = torch.full((1, 8, 8, 3), 102 / 255)
    step[:, :, 4:] = 153 / 255
    half, whole = adjusted(step, edge_enhance=0.5), adjusted(step, edge_enhance=1.0)
    torch.testing.assert_close(whole[:, :, 1], step[:, :, 1])
    overshoot = whole[0, 4, 4, 0] - step[0, 4, 4, 0]
    assert overshoot > 0.1
    assert half[0, 4, 4, 0] - step[0, 4, 4, 0] == pytest.approx(float(overshoot) / 2, abs=ONE_LEVEL)
    detailed = adjusted(step, detail_enhance="true")
    assert 0 < detailed[0, 4, 4, 0] - step[0, 4, 4, 0] < overshoot


def test_every_picture_of_a_batch_is_adjusted_by_itself(image: Tensor) -> None:
    values = {"saturation": 1.5, "sharpness": 2.0, "gaussian_blur": 0.7}
    both = adjusted(image, **values)
    assert torch.equal(both, torch.cat([adjusted(one[None], **values) for one in image]))


def test_a_class_that_a_user_adds_goes_before_ours() -> None:
    @node("Image Filter Adjustments", title="Theirs", category="pack")
    def theirs(image: Image) -> Image:
        """Of the pack."""
        return image

    registry = builtin_registry()
    assert registry["Image Filter Adjustments"].title != "Theirs"
    registry.add(theirs.__node_class__)  # type: ignore[attr-defined]
    assert registry["Image Filter Adjustments"].title == "Theirs"
    assert set(OF_PACKS) <= {entry.name for entry in registry}
