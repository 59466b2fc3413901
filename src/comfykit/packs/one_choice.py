"""Packages that bring the same module under several names: one of them, never two.

OpenCV comes in four packages that all write the folder `cv2`, ONNX Runtime in several that write
`onnxruntime`. Two of them overwrite one another's files, and removing one breaks the other.
"""

from __future__ import annotations

from collections.abc import Collection

OPENCV = (
    "opencv-contrib-python-headless",
    "opencv-contrib-python",
    "opencv-python-headless",
    "opencv-python",
)
ONNXRUNTIME = ("onnxruntime", "onnxruntime-gpu", "onnxruntime-directml", "onnxruntime-openvino")
FAMILIES = (OPENCV, ONNXRUNTIME)


def choose(
    family: tuple[str, ...], wanted: Collection[str], installed: Collection[str], *, cuda: bool
) -> str | None:
    """The member of a family to have; None where nobody wants one and none is installed.

    What is installed stays, unless packs want more than it has: OpenCV's contributed modules.
    """
    wanted = [name for name in family if name in wanted]
    here = [name for name in family if name in installed]
    if not wanted and not here:
        return None
    if family is OPENCV:
        return _opencv(wanted, here)
    if here:
        return here[0]
    if "onnxruntime-gpu" in wanted and cuda:
        return "onnxruntime-gpu"
    return wanted[0] if "gpu" not in wanted[0] else "onnxruntime"


def standing_for(name: str, installed: Collection[str]) -> str:
    """The package itself, or the one of its family that is installed in its stead."""
    family = next((members for members in FAMILIES if name in members), ())
    return name if name in installed else next((one for one in family if one in installed), name)


def _opencv(wanted: Collection[str], here: list[str]) -> str:
    contributed = any("contrib" in name for name in wanted)
    if here and ("contrib" in here[0] or not contributed):
        return here[0]
    window = bool(here) and not here[0].endswith("-headless")
    name = "opencv-contrib-python" if contributed else "opencv-python"
    return name if window else f"{name}-headless"
