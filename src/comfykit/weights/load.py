"""Fills a network with the tensors of a file, without a second copy of either."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from typing import TypeVar

import torch
from torch import Tensor, nn

from comfykit.errors import ModelFileError

Network = TypeVar("Network", bound=nn.Module)

# What training leaves in files and no network reads: noise schedules, averaged copies, losses, counters.
_LEFTOVER = re.compile(
    r"(.*\.)?position_ids$"
    r"|model_ema\.|loss\.|(.*\.)?num_batches_tracked$"
    r"|(alphas_cumprod|log_one_minus|posterior|sqrt|betas|scale_factor|logvar|lvlb_weights)\w*$"
    r"|(v_pred|ztsnr|edm_mean|edm_std|logit_scale)$"
)


def build(network: Callable[[], Network], tensors: Mapping[str, Tensor], *, what: str) -> Network:
    """The network that `network()` makes, with `tensors` for its weights: theirs, not copies.

    It is built on the meta device, so that nothing is allocated or initialised. `what` names it in errors
    ("the U-Net of model.safetensors"). Returned in eval mode, without gradients.

    Raises `ModelFileError` where tensors are missing, unexpected or of another shape.
    """
    with torch.device("meta"):
        made = network()
    wanted = made.state_dict()
    given = {name: tensor for name, tensor in tensors.items() if name in wanted or not _LEFTOVER.match(name)}
    _check(wanted, given, what)
    made.requires_grad_(False)
    with torch.inference_mode(False):
        made.load_state_dict(given, strict=True, assign=True)
    unfilled = [name for name, buffer in made.named_buffers() if buffer.is_meta]
    if unfilled:
        raise ModelFileError(f"{what}: {_some(unfilled)} cannot come from a file", names=unfilled)
    return made.eval()


def _check(wanted: Mapping[str, Tensor], given: Mapping[str, Tensor], what: str) -> None:
    missing = [name for name in wanted if name not in given]
    unexpected = [name for name in given if name not in wanted]
    mismatched = [
        f"{name} ({_size(given[name])}, not {_size(tensor)})"
        for name, tensor in wanted.items()
        if name in given and given[name].shape != tensor.shape
    ]
    found = (("missing", missing), ("unexpected", unexpected), ("of another shape", mismatched))
    problems = [f"{len(names)} {kind} ({_some(names)})" for kind, names in found if names]
    if problems:
        raise ModelFileError(
            f"{what}: tensors do not fit: {'; '.join(problems)}",
            hint="the file is damaged or of a model that comfykit does not know",
            missing=missing,
            unexpected=unexpected,
            mismatched=mismatched,
        )


def _some(names: Iterable[str], most: int = 3) -> str:
    listed = list(names)
    return ", ".join(islice(listed, most)) + (", ..." if len(listed) > most else "")


def _size(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "a number"
