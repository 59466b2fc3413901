"""The memory that a workflow's models take, from the headers of their files; torch is not needed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from comfykit.doctor.facts import Needs
from comfykit.errors import ModelFileError
from comfykit.home import MODEL_KINDS, WEIGHT_SUFFIXES
from comfykit.services.workflow_classes import missing_classes
from comfykit.settings import Settings
from comfykit.weights.header import DTYPE_BITS, read_header
from comfykit.workflow.read import Workflow, read_workflow

# What a step computes with, beside the weights.
HEADROOM = 1 << 30

# The parts of a checkpoint, which are on the GPU one after the other; what is none of them is one part.
_PARTS = ("model.diffusion_model.", "first_stage_model.", "cond_stage_model.", "conditioner.")
_HALF_BITS = 16


def needs_of(source: str, settings: Settings) -> Needs:
    """What a workflow needs at once; raises `WorkflowError` where it cannot be read."""
    workflow = read_workflow(source, dict)
    missing, files = [], []
    for name in dict.fromkeys(_names(workflow)):
        path = _find(name, settings)
        if path is None:
            missing.append(name)
        else:
            files.append(path)
    parts = [part for path in files for part in _parts(path)]
    return Needs(
        name=workflow.name,
        main=max((path.stat().st_size for path in files), default=0) + HEADROOM if files else 0,
        gpu=max(parts) + HEADROOM if parts else 0,
        models=tuple(missing),
        classes=missing_classes(workflow, settings.home),
    )


def _names(workflow: Workflow) -> Iterator[str]:
    """Names of weights files among the values of a workflow, in both of its forms."""
    for text in _texts([workflow.prompt, _nodes(workflow.extra_pnginfo.get("workflow"))]):
        if Path(text[-20:]).suffix.lower() in WEIGHT_SUFFIXES and "://" not in text and "\n" not in text:
            yield text.replace("\\", "/")


def _nodes(document: Any) -> list[Any]:
    """The values of the nodes of a workflow in UI form, those of its subgraphs too."""
    if not isinstance(document, Mapping):
        return []
    definitions = document.get("definitions")
    subgraphs = definitions.get("subgraphs", []) if isinstance(definitions, Mapping) else []
    graphs = [document, *(graph for graph in subgraphs if isinstance(graph, Mapping))]
    nodes = [node for graph in graphs for node in graph.get("nodes") or [] if isinstance(node, Mapping)]
    return [node.get("widgets_values") for node in nodes if node.get("mode") not in (2, 4)]


def _texts(value: Any) -> Iterator[str]:
    pending = [value]
    while pending:
        entry = pending.pop()
        if isinstance(entry, str):
            yield entry
        elif isinstance(entry, Mapping):
            pending.extend(entry.values())
        elif isinstance(entry, list | tuple):
            pending.extend(entry)


def _find(name: str, settings: Settings) -> Path | None:
    """The file of that name in any model folder."""
    for kind in MODEL_KINDS:
        for folder in settings.home.folders(kind):
            if (folder / name).is_file():
                return folder / name
    return None


def _parts(path: Path) -> list[int]:
    """Bytes of each part of a file on the GPU, at most in half precision; all of it for a pickle."""
    try:
        tensors = read_header(path).tensors
    except ModelFileError:
        return [path.stat().st_size]
    sizes: dict[str, int] = {}
    for name, info in tensors.items():
        part = next((prefix for prefix in _PARTS if name.startswith(prefix)), "")
        bits = DTYPE_BITS[info.dtype]
        begin, end = info.offsets
        sizes[part] = sizes.get(part, 0) + (end - begin) * min(bits, _HALF_BITS) // bits
    return list(sizes.values())
