"""torchvision where its compiled part does not load: packs import it all the same.

torchvision's Python files and its compiled operators are one package, and the operators load with exactly
the build of torch that they were compiled for. Beside another (a torch for CPUs with PyPI's torchvision, a
torch for another CUDA) `import torchvision` ends with "operator torchvision::nms does not exist", though most
of what packs and transformers want of it, resizing and colours, is plain Python over torch.

A finder waits for `torchvision.extension`, the module that loads that part and says whether it did. Where it
did not, the operators are declared before the rest of torchvision is imported: `nms` in plain torch, the
others with an error that says what is missing. `roi_align` is torchvision's own then, which has a second one
in Python. Where the compiled part loads, or nothing imports torchvision, nothing is done.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import ModuleType
from typing import TYPE_CHECKING, Any

from comfykit.compat import running
from comfykit.events import Warned
from comfykit.packs.companions import companion

if TYPE_CHECKING:
    from torch import Tensor

_EXTENSION = "torchvision.extension"
_HINT = "pip install --index-url https://download.pytorch.org/whl/{build} torchvision=={version}"

# The operators as torchvision declares them: those that its own Python files call or register something for.
_POOLED = "Tensor input, Tensor rois, float spatial_scale, SymInt pooled_height, SymInt pooled_width"
_STRIDES = (
    "SymInt stride_h, SymInt stride_w, SymInt pad_h, SymInt pad_w, SymInt dilation_h, SymInt dilation_w"
)
_SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "box_iou_rotated(Tensor boxes1, Tensor boxes2) -> Tensor",
    f"roi_align({_POOLED}, int sampling_ratio, bool aligned) -> Tensor",
    f"roi_pool({_POOLED}) -> (Tensor, Tensor)",
    f"ps_roi_align({_POOLED}, int sampling_ratio) -> (Tensor, Tensor)",
    f"ps_roi_pool({_POOLED}) -> (Tensor, Tensor)",
    "deform_conv2d(Tensor input, Tensor weight, Tensor offset, Tensor mask, Tensor bias, "
    f"{_STRIDES}, SymInt groups, SymInt offset_groups, bool use_mask) -> Tensor",
    "qroi_align(Tensor input, Tensor rois, float input_scale, int input_zero_point, float rois_scale, "
    "int rois_zero_point, float spatial_scale, SymInt pooled_height, SymInt pooled_width, "
    "int sampling_ratio, bool aligned) -> Tensor",
)

_libraries: list[Any] = []  # torch forgets operators with the library that declared them
_told: list[Warned] = []


def install() -> None:
    """Wait for torchvision from now on; costs nothing until somebody imports it."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


def take_warnings() -> list[Warned]:
    """What was found missing since this was last asked, where no node was at work to be told."""
    found = list(_told)
    _told.clear()
    return found


def nms(dets: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:
    """Greedy non-maximum suppression (Neubeck and Van Gool 2006, "Efficient Non-Maximum Suppression").

    `dets` are boxes (N, 4) as x1, y1, x2, y2; `scores` are (N,). The best box stays, those that overlap it by
    an intersection over union above `iou_threshold` go, and so on with the next best of the rest. Gives the
    indices of boxes that stay (int64), best first. Raises `ValueError` for other shapes.
    """
    import torch

    if dets.dim() != 2 or dets.size(1) != 4 or scores.dim() != 1 or dets.size(0) != scores.size(0):
        raise ValueError(
            f"nms takes boxes (N, 4) and scores (N,), not {tuple(dets.shape)} and {tuple(scores.shape)}"
        )
    rest = scores.cpu().sort(descending=True, stable=True).indices
    boxes = dets.cpu().to(torch.promote_types(dets.dtype, torch.float32))[rest]
    stay = []
    while rest.numel():
        stay.append(rest[0])
        apart = ~(_overlaps(boxes[0], boxes[1:]) > iou_threshold)
        rest, boxes = rest[1:][apart], boxes[1:][apart]
    return (torch.stack(stay) if stay else rest).to(dets.device)


def _overlaps(box: Tensor, boxes: Tensor) -> Tensor:
    """Intersection over union of one box with many, (N,)."""
    import torch

    low, high = torch.maximum(box[:2], boxes[:, :2]), torch.minimum(box[2:], boxes[:, 2:])
    common = (high - low).clamp(min=0).prod(dim=1)
    return common / ((box[2:] - box[:2]).prod() + (boxes[:, 2:] - boxes[:, :2]).prod(dim=1) - common)


class _Finder:
    """The entry of `sys.meta_path`."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != _EXTENSION:
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and type(spec.loader) is SourceFileLoader:
            spec.loader = _Loader(spec.loader.name, spec.loader.path)
        return spec


class _Loader(SourceFileLoader):
    """Runs `torchvision.extension`, and supplies operators where it could not load its own."""

    def exec_module(self, module: ModuleType) -> None:
        super().exec_module(module)
        if not module._has_ops():
            _declare()
            # Its functions ask this before they call an operator; those that are missing say so themselves.
            module._assert_has_ops = lambda: None  # type: ignore[attr-defined]
            _tell()


def _declare() -> None:
    import torch

    library: Any = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
    _libraries.append(library)
    for schema in _SCHEMAS:
        name = library.define(schema).rpartition("::")[2]
        library.impl(name, nms if name == "nms" else _missing(name), "CompositeExplicitAutograd")


def _missing(name: str) -> Any:
    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise RuntimeError(
            f"torchvision's operator {name!r} is in its compiled part, which does not load with "
            f"{_torch()}. hint: {_hint()}"
        )

    return refuse


def _tell() -> None:
    warned = Warned(
        f"torchvision's compiled part does not load with {_torch()}: nms runs in plain torch, "
        "deform_conv2d and its like raise an error",
        _hint(),
    )
    context = running.node()
    if context is None:
        _told.append(warned)
    else:
        context.reporter(warned)


def _torch() -> str:
    import torch

    return f"torch {torch.__version__}"


def _hint() -> str:
    import torch

    release, _, build = torch.__version__.partition("+")
    belongs = companion("torchvision", torch.__version__)
    if belongs is None or not build:
        return f"install the torchvision that was built for torch {release}"
    return _HINT.format(build=build, version=belongs.release)
