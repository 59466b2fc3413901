"""torchvision without its compiled part, played by a package of the test's own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from compat_packs import ONE, PackHome

from comfykit.compat.torchvision_ops import nms
from comfykit.events import Warned
from fetch_support import SOURCE

EXTENSION = """
def _has_ops():
    return {has_ops}
def _assert_has_ops():
    if not _has_ops():
        raise RuntimeError("Couldn't load custom C++ ops.")
"""
# As the real one does: it registers a second form of an operator, which must be there by then.
PACKAGE = """
import torch
from . import extension
if not extension._has_ops():
    @torch.library.register_fake("torchvision::nms")
    def meta_nms(dets, scores, iou_threshold):
        raise NotImplementedError
def nms(boxes, scores, iou_threshold):
    extension._assert_has_ops()
    return torch.ops.torchvision.nms(boxes, scores, iou_threshold)
def roi_pool(images, boxes, size):
    extension._assert_has_ops()
    return torch.ops.torchvision.roi_pool(images, boxes, 1.0, size, size)
"""
TRY = """
import sys
from comfykit.compat import torchvision_ops
torchvision_ops.install()
torchvision_ops.install()
print("torchvision" in sys.modules)
import torch, torchvision
print([warned.message for warned in torchvision_ops.take_warnings()])
print(torchvision_ops.take_warnings())
print(hasattr(torch.ops.torchvision, "nms"))
"""


def stand_in(folder: Path, *, has_ops: bool) -> Path:
    """A folder with a package `torchvision` in it."""
    package = folder / "site" / "torchvision"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(PACKAGE)
    (package / "extension.py").write_text(EXTENSION.format(has_ops=has_ops))
    return package.parent


def python(site: Path, code: str) -> list[str]:
    """What code prints in a process that finds the stand-in."""
    path = f"{site}:{SOURCE}"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_what_is_missing_is_supplied_and_said_once(tmp_path: Path) -> None:
    use = """
print(torchvision.nms(torch.tensor([[0, 0, 2, 2], [0, 0, 2, 1.9]]), torch.tensor([0.1, 0.9]), 0.5).tolist())
try:
    torchvision.roi_pool(torch.zeros(1, 1, 4, 4), torch.zeros(1, 5), 2)
except RuntimeError as error:
    print(error)
"""
    said = python(stand_in(tmp_path, has_ops=False), TRY + use)
    assert said[0] == "False"
    assert said[1].startswith("[\"torchvision's compiled part does not load with torch 2.")
    assert said[2:5] == ["[]", "True", "[1]"]
    assert "torchvision's operator 'roi_pool' is in its compiled part" in said[5]
    assert "hint: " in said[5]


def test_where_its_own_part_loads_nothing_is_done(tmp_path: Path) -> None:
    assert python(stand_in(tmp_path, has_ops=True), TRY) == ["False", "[]", "[]", "False"]


def test_a_run_warns_of_it_and_the_pack_loads(
    home: PackHome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(stand_in(tmp_path, has_ops=False)))
    for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
        monkeypatch.delitem(sys.modules, name)
    home.pack("Vision", f"import torchvision\n{ONE}")
    home.pack("Vision2", f"import torchvision\n{ONE}")
    assert [pack.failure for pack in home.registry().load_all()] == [None, None]
    (warned,) = [event for event in home.events if isinstance(event, Warned)]
    assert "torchvision's compiled part" in warned.message


def boxes(*corners: tuple[float, float, float, float]) -> torch.Tensor:
    return torch.tensor(corners, dtype=torch.float32).reshape(-1, 4)


@pytest.mark.parametrize(
    ("dets", "scores", "threshold", "stay"),
    [
        (boxes(), [], 0.5, []),
        (boxes((0, 0, 1, 1)), [0.3], 0.0, [0]),
        # Side by side they share nothing; the better comes first.
        (boxes((0, 0, 1, 1), (1, 0, 2, 1)), [0.1, 0.2], 0.0, [1, 0]),
        # Half of each is common: 1/3. At the threshold itself both stay.
        (boxes((0, 0, 2, 1), (1, 0, 3, 1)), [0.9, 0.8], 0.3, [0]),
        (boxes((0, 0, 2, 1), (1, 0, 3, 1)), [0.9, 0.8], 1 / 3 + 1e-6, [0, 1]),
        (boxes((0, 0, 4, 1), (0, 0, 2, 1)), [0.9, 0.8], 0.5, [0, 1]),
        # The second goes for the first, so the third, which only the second covers, stays.
        (boxes((0, 0, 4, 1), (1, 0, 5, 1), (2, 0, 6, 1)), [0.9, 0.8, 0.7], 0.5, [0, 2]),
        # Boxes without area overlap nothing, themselves included.
        (boxes((1, 1, 1, 1), (1, 1, 1, 1)), [0.5, 0.6], 0.1, [1, 0]),
    ],
)
def test_the_best_boxes_stay(
    dets: torch.Tensor, scores: list[float], threshold: float, stay: list[int]
) -> None:
    kept = nms(dets, torch.tensor(scores), threshold)
    assert (kept.tolist(), kept.dtype) == (stay, torch.int64)


def test_the_best_boxes_of_many_are_those_that_a_search_over_all_pairs_leaves() -> None:
    torch.manual_seed(0)
    corners = torch.rand(200, 2, dtype=torch.float64) * 10
    dets = torch.cat([corners, corners + torch.rand(200, 2) * 4], dim=1)
    scores = torch.rand(200)
    areas = (dets[:, 2:] - dets[:, :2]).prod(dim=1)
    stay: list[int] = []
    for at in scores.argsort(descending=True).tolist():
        low = torch.maximum(dets[at, :2], dets[stay, :2])
        common = (torch.minimum(dets[at, 2:], dets[stay, 2:]) - low).clamp(min=0).prod(dim=1)
        if not (common / (areas[at] + areas[stay] - common) > 0.4).any():
            stay.append(at)
    assert nms(dets, scores, 0.4).tolist() == stay
    assert 0 < len(stay) < 200


def test_half_precision_is_no_less_exact() -> None:
    dets = boxes((0, 0, 1024, 1024), (0, 0, 1024, 512)).half()
    assert nms(dets, torch.tensor([0.5, 0.4]).half(), 0.49).tolist() == [0]


@pytest.mark.parametrize(("dets", "scores"), [((3, 5), 3), ((3, 4), 2)])
def test_other_shapes_are_refused(dets: tuple[int, int], scores: int) -> None:
    with pytest.raises(ValueError, match="boxes"):
        nms(torch.zeros(dets), torch.zeros(scores), 0.5)
