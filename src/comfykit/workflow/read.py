"""A workflow from a JSON file, from a PNG that carries one, or from standard input.

What is read is the API form, `{id: {"class_type": ..., "inputs": {...}}}`, alone or as the body that is
posted to `/prompt`. The UI form, which ComfyUI's front end saves, is recognised and refused.
"""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from comfykit.errors import WorkflowError
from comfykit.workflow import png, strict_json
from comfykit.workflow.strict_json import Document, shorten

STDIN = "-"
MOST_PROBLEMS_SHOWN = 20
_HOW_TO_EXPORT = "open it in ComfyUI and choose Workflow > Export (API)"
_OTHER_PICTURES = {b"\xff\xd8\xff": "JPEG", b"RIFF": "WebP", b"GIF8": "GIF"}


@dataclass(frozen=True, slots=True)
class Workflow:
    """A workflow in API form.

    `extra_pnginfo` is what pictures carry besides the prompt: {"workflow": the UI form} where it is
    known. `warnings` are sentences about things that stop nothing.
    """

    name: str
    prompt: dict[str, dict[str, Any]]
    extra_pnginfo: dict[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def read_workflow(source: str | Path) -> Workflow:
    """Read a workflow from a file, or from standard input when `source` is "-".

    Raises `WorkflowError` that names the file and, where there is one, the line and column, or every
    entry that is no node.
    """
    if str(source) == STDIN:
        return _from_stream(sys.stdin.buffer, "<stdin>")
    path = Path(source)
    try:
        with path.open("rb") as stream:
            return _from_stream(stream, path.name)
    except OSError as error:
        raise _unreadable(path, error) from error


def _from_stream(stream: BinaryIO, name: str) -> Workflow:
    head = stream.read(len(png.SIGNATURE))
    if head == png.SIGNATURE:
        return _from_png(stream, name)
    for start, kind in _OTHER_PICTURES.items():
        if head.startswith(start):
            raise WorkflowError(f"{name}: a {kind}; of pictures only a PNG is read", hint=_HOW_TO_EXPORT)
    data = head + stream.read(strict_json.MAX_BYTES + 1 - len(head))
    return _from_document(_load(strict_json.decode(data, name), name), name)


def _from_png(stream: BinaryIO, name: str) -> Workflow:
    texts = png.read_texts(stream, name, ("prompt", "workflow"))
    if "prompt" in texts:
        document = _load(texts["prompt"], name)
        return Workflow(name, _prompt(document.value, name, document.non_finite), _picture_extra(texts, name))
    if "workflow" in texts:
        raise _is_ui_form(name)
    raise WorkflowError(
        f"{name}: the picture carries no workflow",
        hint="many sites strip it from pictures; ask for the original file or for the workflow as JSON",
    )


def _picture_extra(texts: Mapping[str, str], name: str) -> dict[str, Any]:
    """The UI form beside a prompt; it only travels along, so a broken one is left out."""
    try:
        document = strict_json.loads(texts["workflow"], name)
    except (KeyError, WorkflowError):
        return {}
    return {} if document.non_finite else {"workflow": document.value}


def _from_document(document: Document, name: str) -> Workflow:
    """The API form itself, or the `prompt` of a body that is posted to `/prompt`, with its `extra_data`."""
    value, non_finite = document
    body = value.get("prompt") if isinstance(value, dict) else None
    if not isinstance(body, dict) or "class_type" in body:
        return Workflow(name, _prompt(value, name, non_finite))
    data = value.get("extra_data")
    extra = data.get("extra_pnginfo") if isinstance(data, dict) else None
    extra = extra if isinstance(extra, dict) else {}
    if non_finite and any(strict_json.find_non_finite(extra)):
        raise WorkflowError(f"{name}: extra_data holds NaN or Infinity, which are not JSON")
    return Workflow(name, _prompt(body, name, non_finite), extra)


def _load(text: str, name: str) -> Document:
    if not text.strip():
        raise WorkflowError(f"{name}: empty", hint=f"to make a workflow file, {_HOW_TO_EXPORT}")
    return strict_json.loads(text, name)


def _prompt(document: Any, name: str, non_finite: bool) -> dict[str, dict[str, Any]]:
    """Check that every entry is a node; what is in a node is the business of validation."""
    if not isinstance(document, dict):
        raise WorkflowError(
            f"{name}: expected an object of nodes, found {_kind(document)}",
            hint=f"to make one, {_HOW_TO_EXPORT}",
        )
    if isinstance(document.get("nodes"), list) and "links" in document:
        raise _is_ui_form(name)
    if not document:
        raise WorkflowError(f"{name}: holds no nodes")
    for entry in document.values():
        if isinstance(entry, dict):
            entry.pop("is_changed", None)  # ComfyUI's cache keys of an earlier run, often NaN
    problems = [*_problems(document)]
    if non_finite:
        problems += [f"{path} is NaN or Infinity" for path in strict_json.find_non_finite(document)]
    if problems:
        raise WorkflowError(
            f"{name}: {_listed(problems)}",
            hint='a node is {"class_type": ..., "inputs": {...}} under its id',
            problems=problems,
        )
    return document


def _problems(document: Mapping[str, Any]) -> Iterator[str]:
    for key, entry in document.items():
        if not isinstance(entry, dict):
            yield f"{shorten(key)} is {_kind(entry)}, not a node"
            continue
        kind = entry.get("class_type")
        if not isinstance(kind, str) or not kind:
            yield f"node {shorten(key)} has no class_type"
        if not isinstance(entry.get("inputs", {}), dict):
            yield f"the inputs of node {shorten(key)} are {_kind(entry['inputs'])}, not an object"


def _listed(problems: list[str]) -> str:
    shown = "; ".join(problems[:MOST_PROBLEMS_SHOWN])
    more = len(problems) - MOST_PROBLEMS_SHOWN
    return f"{shown}; and {more} more" if more > 0 else shown


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "a string", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")


def _is_ui_form(name: str) -> WorkflowError:
    return WorkflowError(
        f"{name}: this is the UI form of a workflow; comfykit reads the API form so far",
        hint=_HOW_TO_EXPORT,
    )


def _unreadable(path: Path, error: OSError) -> WorkflowError:
    if isinstance(error, FileNotFoundError):
        return WorkflowError(f"no workflow file {path}", hint=_nearest(path), file=str(path))
    if isinstance(error, IsADirectoryError):
        return WorkflowError(f"{path} is a folder, not a workflow file", hint="name a file in it")
    return WorkflowError(f"{path}: cannot be read: {error.strerror or error}", file=str(path))


def _nearest(path: Path) -> str | None:
    if not path.parent.is_dir():
        return f"there is no folder {path.parent}"
    names = [other.name for pattern in ("*.json", "*.png") for other in path.parent.glob(pattern)]
    near = difflib.get_close_matches(path.name, names, n=3, cutoff=0.5)
    return f"did you mean {' or '.join(near)}?" if near else None
