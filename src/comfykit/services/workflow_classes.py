"""The node classes that a workflow names and nobody here has, found without torch and without any import."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from importlib import resources
from typing import Any

from comfykit.home import Home
from comfykit.packs.index import class_index
from comfykit.packs.known import known_pack
from comfykit.workflow.read import Workflow
from comfykit.workflow.wiring import FRONT_END_ONLY

# How classes are made in the sources of `nodes/`: `@node("Name", ...)`, or by a function that makes several.
_MADE = re.compile(r'^(?:@node|\w+ = _\w+)\(\s*"([^"]+)"', re.MULTILINE)
_OFF = (2, 4)  # modes of nodes that are muted or bypassed


def missing_classes(workflow: Workflow, home: Home) -> dict[str, str]:
    """Names to the pack that has them, "" where none is known.

    A pack that is installed may offer classes that its source does not tell; as long as there is one, only
    what a pack is known for counts as missing.
    """
    index = class_index(home)
    offered = {name for entry in index.entries.values() for name in entry.classes}
    there = builtin_names() | FRONT_END_ONLY | offered
    unclear = any(not index.entries[name].is_current for name in index.unclear())
    missing = {name: known_pack(name) or "" for name in dict.fromkeys(_named(workflow)) if name not in there}
    return {name: pack for name, pack in missing.items() if pack or not unclear}


@functools.cache
def builtin_names() -> frozenset[str]:
    """The names of the built-in classes, from the sources: importing them takes a second of torch."""
    files = resources.files("comfykit").joinpath("nodes").iterdir()
    sources = (file.read_text(encoding="utf-8") for file in files if file.name.endswith(".py"))
    return frozenset(name for source in sources for name in _MADE.findall(source))


def _named(workflow: Workflow) -> Iterator[str]:
    """Classes of a workflow in both of its forms, without those that a subgraph of it defines."""
    document = workflow.extra_pnginfo.get("workflow")
    if not isinstance(document, Mapping) or not isinstance(document.get("nodes"), list):
        for node in workflow.prompt.values():
            name = node.get("class_type")
            if isinstance(name, str):
                yield name
        return
    subgraphs = [graph for graph in _subgraphs(document) if isinstance(graph, Mapping)]
    own = {graph.get("id") for graph in subgraphs}
    for graph in (document, *subgraphs):
        for node in graph.get("nodes") or []:
            name = node.get("type") if isinstance(node, Mapping) else None
            if (
                isinstance(name, str)
                and node.get("mode") not in _OFF
                and name not in own
                and not _is_group(name)
            ):
                yield name


def _subgraphs(document: Mapping[str, Any]) -> list[Any]:
    definitions = document.get("definitions")
    found = definitions.get("subgraphs") if isinstance(definitions, Mapping) else None
    return found if isinstance(found, list) else []


def _is_group(name: str) -> bool:
    """Whether a type is a group node, which the workflow itself describes."""
    return name.startswith(("workflow/", "workflow>"))
