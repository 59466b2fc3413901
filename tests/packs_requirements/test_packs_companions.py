from __future__ import annotations

import pytest

from comfykit.packs.companions import companion
from comfykit.packs.numpy_two import first_builds, is_before
from comfykit.packs.one_choice import ONNXRUNTIME, OPENCV, choose, standing_for


@pytest.mark.parametrize(
    ("name", "torch", "constraint"),
    [
        ("torchvision", "2.13.0+cpu", "torchvision==0.28.0+cpu"),
        ("torchvision", "2.10.1+cu126", "torchvision==0.25.1+cu126"),
        ("torchvision", "2.13.0", "torchvision==0.28.*"),
        ("torchaudio", "2.11.0+rocm6.4", "torchaudio==2.11.0+rocm6.4"),
        ("torchaudio", "2.10.0", "torchaudio==2.10.*"),
    ],
)
def test_the_build_that_belongs_to_a_torch(name: str, torch: str, constraint: str) -> None:
    belongs = companion(name, torch)
    assert belongs is not None
    assert belongs.constraint == constraint


@pytest.mark.parametrize(
    ("name", "torch"),
    [
        ("torchaudio", "2.12.0"),  # the last one is 2.11
        ("torchvision", "2.13.0+gitabc"),
        ("torchvision", "2.10.0a0+nv25.11"),
        ("torchvision", "2.14.0.dev20261101+cpu"),
        ("torchvision", "3.0.0"),
        ("torchvision", "nonsense"),
    ],
)
def test_some_torches_have_none(name: str, torch: str) -> None:
    assert companion(name, torch) is None


@pytest.mark.parametrize(
    ("version", "is_fitting"),
    [
        ("0.28.0+cpu", True),
        ("0.28.1+cpu", True),
        ("0.28.0", False),
        ("0.28.0+cu126", False),
        ("0.27.0+cpu", False),
    ],
)
def test_whether_a_build_belongs(version: str, is_fitting: bool) -> None:
    belongs = companion("torchvision", "2.13.0+cpu")
    assert belongs is not None
    assert belongs.is_fitting(version) is is_fitting


@pytest.mark.parametrize(
    ("specifier", "before"),
    [
        ("", False),
        (">=4.7", False),
        ("<5", False),
        ("<=4.10.0.84", False),
        ("==4.12.0.88", False),
        ("!=4.7", False),
        ("==4.7.0.72", True),
        ("==4.7.*", True),
        (">=4.5,<4.10.0.84", True),
        ("<=4.7.0.72", True),
    ],
)
def test_versions_from_before_numpy_2(specifier: str, before: bool) -> None:
    assert is_before(specifier, "4.10.0.84") is before


def test_only_numpy_2_needs_later_builds() -> None:
    assert first_builds("2.4.6")["opencv-python"] == "4.10.0.84"
    assert not first_builds("1.26.4")
    assert not first_builds(None)


@pytest.mark.parametrize(
    ("wanted", "installed", "chosen"),
    [
        ((), (), None),
        (("opencv-python",), (), "opencv-python-headless"),
        (("opencv-python", "opencv-contrib-python"), (), "opencv-contrib-python-headless"),
        (("opencv-python-headless",), ("opencv-python",), "opencv-python"),
        (("opencv-contrib-python-headless",), ("opencv-python",), "opencv-contrib-python"),
        (("opencv-contrib-python",), ("opencv-python-headless",), "opencv-contrib-python-headless"),
        (("opencv-python",), ("opencv-contrib-python",), "opencv-contrib-python"),
        ((), ("opencv-python",), "opencv-python"),
    ],
)
def test_opencv_is_one_choice(
    wanted: tuple[str, ...], installed: tuple[str, ...], chosen: str | None
) -> None:
    assert choose(OPENCV, wanted, installed, cuda=False) == chosen


@pytest.mark.parametrize(
    ("wanted", "installed", "cuda", "chosen"),
    [
        (("onnxruntime",), (), True, "onnxruntime"),
        (("onnxruntime", "onnxruntime-gpu"), (), True, "onnxruntime-gpu"),
        (("onnxruntime", "onnxruntime-gpu"), (), False, "onnxruntime"),
        (("onnxruntime-gpu",), (), False, "onnxruntime"),
        (("onnxruntime-gpu",), ("onnxruntime",), True, "onnxruntime"),
        (("onnxruntime",), ("onnxruntime-gpu",), False, "onnxruntime-gpu"),
        (("onnxruntime-directml",), (), False, "onnxruntime-directml"),
    ],
)
def test_onnxruntime_is_one_choice(
    wanted: tuple[str, ...], installed: tuple[str, ...], cuda: bool, chosen: str
) -> None:
    assert choose(ONNXRUNTIME, wanted, installed, cuda=cuda) == chosen


@pytest.mark.parametrize(
    ("name", "installed", "standing"),
    [
        ("opencv-python", ("opencv-contrib-python-headless",), "opencv-contrib-python-headless"),
        ("opencv-python", ("opencv-python", "opencv-python-headless"), "opencv-python"),
        ("opencv-python", (), "opencv-python"),
        ("alpha", ("beta",), "alpha"),
    ],
)
def test_one_of_a_family_stands_for_the_others(name: str, installed: tuple[str, ...], standing: str) -> None:
    assert standing_for(name, installed) == standing
