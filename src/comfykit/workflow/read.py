"""A workflow from a JSON file, from a picture that carries one, or from standard input.

Three forms are read: the API form, `{id: {"class_type": ..., "inputs": {...}}}`, alone or as the body that is
posted to `/prompt`; the UI form, which ComfyUI's front end saves and which is converted; and an object or a
picture that has both under `prompt` and `workflow`, of which the API form is taken.
"""

from __future__ import annotations

import difflib
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from comfykit.engine.validate import Problem
from comfykit.errors import WorkflowError
from comfykit.workflow import pictures, strict_json
from comfykit.workflow.bulk import without_collection
from comfykit.workflow.convert import convert
from comfykit.workflow.document import is_ui_form
from comfykit.workflow.interface import Interfaces
from comfykit.workflow.strict_json import Document, shorten

STDIN = "-"
MOST_PROBLEMS_SHOWN = 20
_HOW_TO_EXPORT = "open it in ComfyUI and choose Workflow > Export (API)"
_SUFFIXES = ("*.json", "*.png", "*.webp", "*.jpg", "*.jpeg")


@dataclass(frozen=True, slots=True)
class Workflow:
    """A workflow in API form.

    `extra_pnginfo` is what pictures carry besides the prompt: {"workflow": the UI form} where it is
    known. `warnings` are sentences about things that stop nothing, `problems` what a conversion from the UI
    form could not carry over.
    """

    name: str
    prompt: dict[str, dict[str, Any]]
    extra_pnginfo: dict[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()


def read_workflow(source: str | Path, interfaces: Callable[[], Interfaces] | None = None) -> Workflow:
    """Read a workflow from a file, or from standard input when `source` is "-".

    `interfaces` is asked for the interfaces of node classes once a UI form needs them to be converted;
    without it that form is refused. Raises `WorkflowError` that names the file and, where there is one, the
    line and column, or every entry that is no node.
    """
    if str(source) == STDIN:
        with without_collection():
            return _Reader("<stdin>", interfaces).stream(sys.stdin.buffer)
    path = Path(source)
    try:
        with path.open("rb") as stream, without_collection():
            return _Reader(path.name, interfaces).stream(stream)
    except (OSError, ValueError) as error:  # ValueError: a name with a null character
        raise _unreadable(path, error) from error


class _Reader:
    """Reads one file; `name` is what errors call it."""

    def __init__(self, name: str, interfaces: Callable[[], Interfaces] | None) -> None:
        self._name = name
        self._interfaces = interfaces

    def stream(self, stream: BinaryIO) -> Workflow:
        head, texts = pictures.read_texts(stream, self._name)
        if texts is not None:
            return self._from_texts(texts)
        data = head + stream.read(strict_json.MAX_BYTES + 1 - len(head))
        return self._from_document(self._load(strict_json.decode(data, self._name)))

    def _from_texts(self, texts: Mapping[str, str]) -> Workflow:
        """What a picture carries: the API form if it can be read, else the UI form."""
        if "prompt" in texts:
            try:
                return self._from_api(self._load(texts["prompt"]), self._beside(texts))
            except WorkflowError:
                if "workflow" not in texts:
                    raise
        for key in ("workflow", "both"):
            if key in texts:
                return self._from_document(self._load(texts[key]))
        raise WorkflowError(
            f"{self._name}: the picture carries no workflow",
            hint="many sites strip it from pictures; ask for the original file or for the workflow as JSON",
        )

    def _beside(self, texts: Mapping[str, str]) -> dict[str, Any]:
        """The UI form beside a prompt; it only travels along, so a broken one is left out."""
        try:
            document = self._load(texts["workflow"])
        except (KeyError, WorkflowError):
            return {}
        return {} if document.non_finite else {"workflow": document.value}

    def _from_document(self, document: Document) -> Workflow:
        """A form itself, the body that is posted to `/prompt`, or an object with both forms."""
        prompt, workflow = self._part(document, "prompt"), self._part(document, "workflow")
        for form in (document, prompt):
            if form is not None and is_ui_form(form.value):
                return self._from_ui(form)
        if prompt is not None and prompt.value:
            return self._from_api(prompt, self._extra(document, workflow))
        if workflow is not None and is_ui_form(workflow.value):
            return self._from_ui(workflow)
        return self._from_api(document, {})

    def _part(self, document: Document, key: str) -> Document | None:
        """The object, or JSON text of one, under a key; None where there is none or it is a node itself."""
        part = document.value.get(key) if isinstance(document.value, dict) else None
        if isinstance(part, str) and part.lstrip().startswith("{"):
            return self._load(part)
        if not isinstance(part, dict) or "class_type" in part:
            return None
        return Document(part, document.non_finite)

    def _extra(self, document: Document, workflow: Document | None) -> dict[str, Any]:
        """What pictures are to carry: what a body says, or else the UI form beside the prompt."""
        data = document.value.get("extra_data")
        extra = data.get("extra_pnginfo") if isinstance(data, dict) else None
        if not isinstance(extra, dict):
            return {} if workflow is None or workflow.non_finite else {"workflow": workflow.value}
        if document.non_finite and any(strict_json.find_non_finite(extra)):
            raise WorkflowError(f"{self._name}: extra_data holds NaN or Infinity, which are not JSON")
        return extra

    def _from_api(self, document: Document, extra: dict[str, Any]) -> Workflow:
        return Workflow(self._name, _prompt(document.value, self._name, document.non_finite), extra)

    def _from_ui(self, document: Document) -> Workflow:
        if self._interfaces is None:
            raise WorkflowError(
                f"{self._name}: this is the UI form of a workflow, and the API form is wanted",
                hint=_HOW_TO_EXPORT,
            )
        converted = convert(document.value, self._interfaces(), self._name)
        if not converted.prompt:
            raise WorkflowError(f"{self._name}: holds no nodes that run")
        prompt = _prompt(converted.prompt, self._name, document.non_finite)
        extra = {} if document.non_finite else {"workflow": document.value}
        return Workflow(self._name, prompt, extra, converted.warnings, converted.problems)

    def _load(self, text: str) -> Document:
        if not text.strip():
            raise WorkflowError(f"{self._name}: empty", hint=f"to make a workflow file, {_HOW_TO_EXPORT}")
        return strict_json.loads(text, self._name)


def _prompt(document: Any, name: str, non_finite: bool) -> dict[str, dict[str, Any]]:
    """Check that every entry is a node; what is in a node is the business of validation."""
    if not isinstance(document, dict):
        raise WorkflowError(
            f"{name}: expected an object of nodes, found {_kind(document)}",
            hint=f"to make one, {_HOW_TO_EXPORT}",
        )
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


def _unreadable(path: Path, error: OSError | ValueError) -> WorkflowError:
    if isinstance(error, FileNotFoundError):
        return WorkflowError(f"no workflow file {path}", hint=_nearest(path), file=str(path))
    if isinstance(error, IsADirectoryError):
        return WorkflowError(f"{path} is a folder, not a workflow file", hint="name a file in it")
    return WorkflowError(
        f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}", file=str(path)
    )


def _nearest(path: Path) -> str | None:
    if not path.parent.is_dir():
        return f"there is no folder {path.parent}"
    names = [other.name for pattern in _SUFFIXES for other in path.parent.glob(pattern)]
    near = difflib.get_close_matches(path.name, names, n=3, cutoff=0.5)
    return f"did you mean {' or '.join(near)}?" if near else None
