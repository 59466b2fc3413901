"""Changes to a workflow from the command line: `--set NODE.INPUT=VALUE` and `--seed N`.

A node is named by its id or its title. Titles may hold dots and equals signs, so what is before the
input is matched against the names the workflow has, the longest first.
"""

from __future__ import annotations

import dataclasses
import difflib
import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from comfykit.engine.graph import is_link
from comfykit.errors import UsageError, WorkflowError
from comfykit.workflow import strict_json
from comfykit.workflow.read import Workflow
from comfykit.workflow.strict_json import shorten

SEED_INPUTS = ("seed", "noise_seed")
MAX_SEED = 2**64 - 1
MOST_NAMES_COMPARED = 2000
_FORM = "write NODE.INPUT=VALUE, as in --set 3.steps=30, with a node's id or title"

Prompt = dict[str, dict[str, Any]]


def override(workflow: Workflow, assignments: Sequence[str] = (), seed: int | None = None) -> Workflow:
    """A copy of the workflow with a seed and with assignments, which win over the seed, in their order.

    An assignment replaces a constant or a link of an input that the file has. Its value is JSON where it
    is a number, true, false, null, an object or a string in quotes, otherwise the text as it stands; an
    input that held a string keeps one. Raises `UsageError` for what names no such node or input.
    A seed that no node takes adds a warning to the copy.
    """
    prompt = dict(workflow.prompt)
    warnings = workflow.warnings
    if seed is not None and not _set_seeds(prompt, seed):
        warnings = (*warnings, f"--seed {seed} changes nothing: no node has a seed that is a constant")
    names = _names(prompt)
    for assignment in assignments:
        _assign(prompt, names, assignment)
    return dataclasses.replace(workflow, prompt=prompt, warnings=warnings)


def _set_seeds(prompt: Prompt, seed: int) -> bool:
    if not 0 <= seed <= MAX_SEED:
        raise UsageError(f"--seed {seed} is not a whole number from 0 to {MAX_SEED}")
    places = [
        (node, name)
        for node, entry in prompt.items()
        for name in SEED_INPUTS
        if name in entry.get("inputs", {}) and not is_link(entry["inputs"][name])
    ]
    for node, name in places:
        _put(prompt, node, name, seed)
    return bool(places)


def _put(prompt: Prompt, node: str, name: str, value: Any) -> None:
    """Replace an input; the entry itself is shared with the workflow that was given, so it is copied."""
    entry = prompt[node]
    prompt[node] = {**entry, "inputs": {**entry["inputs"], name: value}}


def _names(prompt: Prompt) -> dict[str, list[str]]:
    """Ids of the nodes by title in lower case; a node without a title is called by its class."""
    names: dict[str, list[str]] = {}
    for node, entry in prompt.items():
        names.setdefault(_title(entry).casefold(), []).append(node)
    return names


def _title(entry: Mapping[str, Any]) -> str:
    meta = entry.get("_meta")
    title = meta.get("title") if isinstance(meta, dict) else None
    return title if isinstance(title, str) and title else str(entry["class_type"])


def _assign(prompt: Prompt, names: dict[str, list[str]], assignment: str) -> None:
    try:
        assignment.encode()
    except UnicodeEncodeError as error:
        raise UsageError(f"--set {assignment!a}: not UTF-8") from error
    node, rest = _find_node(prompt, names, assignment)
    name, _, text = rest.partition("=")
    inputs = prompt[node].get("inputs", {})
    if name not in inputs:
        raise UsageError(
            f"--set {shorten(assignment)}: node {node} ({_title(prompt[node])}) has no input {shorten(name)}",
            hint=_meant(name, inputs) or f"its inputs are {', '.join(inputs) or 'none'}",
        )
    _put(prompt, node, name, _value(text, inputs[name]))


def _find_node(prompt: Prompt, names: dict[str, list[str]], assignment: str) -> tuple[str, str]:
    """The node and `INPUT=VALUE`: of all readings the longest name, one with such an input before others."""
    called, equals, _ = assignment.partition("=")
    if not equals or "." not in called:
        raise UsageError(f"--set {shorten(assignment)}: no NODE.INPUT before the value", hint=_FORM)
    readings = _readings(prompt, names, assignment)
    if not readings:
        wanted = called.rpartition(".")[0]
        raise UsageError(
            f"--set {shorten(assignment)}: there is no node with the id or title {shorten(wanted)}",
            hint=_meant(wanted, [*prompt, *map(_title, prompt.values())]) or _FORM,
        )
    nodes, rest = next(
        (reading for reading in readings if any(_has(prompt[node], reading[1]) for node in reading[0])),
        readings[0],
    )
    if len(nodes) > 1:
        raise UsageError(
            f"--set {shorten(assignment)}: {len(nodes)} nodes have this title: {', '.join(nodes[:20])}",
            hint="name the node by its id",
        )
    return nodes[0], rest


def _readings(prompt: Prompt, names: dict[str, list[str]], assignment: str) -> list[tuple[list[str], str]]:
    """Every way to cut the assignment after a node's name: (its nodes, what follows the dot)."""
    longest = max(map(len, (*prompt, *names)), default=0)
    dots = [index for index, character in enumerate(assignment[: longest + 1]) if character == "."]
    readings = []
    for dot in reversed(dots):
        called, rest = assignment[:dot], assignment[dot + 1 :]
        nodes = [called] if called in prompt else names.get(called.casefold(), [])
        if nodes and "=" in rest:
            readings.append((nodes, rest))
    return readings


def _has(entry: dict[str, Any], rest: str) -> bool:
    return rest.partition("=")[0] in entry.get("inputs", {})


def _value(text: str, old: Any) -> Any:
    """The value that a text stands for in the place of an old one."""
    if not text or text[0] not in '"{-0123456789tfn':
        return text
    try:
        value, non_finite = strict_json.loads(text, "--set")
    except WorkflowError:
        return text
    if non_finite or (isinstance(old, str) and not isinstance(value, str)):
        return text
    return value


def _meant(name: str, names: Iterable[str]) -> str | None:
    looked_at = itertools.islice(names, MOST_NAMES_COMPARED)
    near = dict.fromkeys(difflib.get_close_matches(name, list(looked_at), n=3, cutoff=0.5))
    return f"did you mean {' or '.join(map(repr, near))}?" if near else None
