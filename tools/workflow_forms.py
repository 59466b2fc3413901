#!/usr/bin/env python3
"""Writes the UI form of workflows, NAME.json, beside their API form, NAME.api.json.

    tools/workflow_forms.py [workflows/NAME.api.json ...]

The API form is the source: edit it, and run this. Without arguments it does all of `workflows/`. Nodes stand
in columns from left to right, so that every link leads to the right; `workflows/groups.json` names, for
each workflow, groups of nodes, which stand below one another with a frame around each:

    {"hires-fix": {"Second pass": ["8", "9"]}}

The UI form is litegraph's version 0.4, which every front end of ComfyUI opens.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from comfykit.engine.graph import is_link
from comfykit.engine.registry import Registry
from comfykit.engine.schema import NodeClass
from comfykit.nodes.builtin import builtin_registry
from comfykit.services.workflows import interfaces_of
from comfykit.workflow.interface import InputInterface

WORKFLOWS = Path(__file__).parents[1] / "workflows"
GROUPS = "groups.json"
API_FORM = ".api.json"

# Sizes in pixels, as litegraph draws them.
TITLE = 30  # above a node's place
SLOT, WIDGET = 20, 24
WIDTH, NARROW, TEXT_WIDTH = 315, 210, 420
TEXT_HEIGHT = 120  # of a field of several lines
PICTURE = 220  # that a node shows below its fields
COLUMN_GAP, ROW_GAP, LANE_GAP = 60, 30, 70
FRAME, FRAME_TITLE = 15, 40
FRAME_COLOR = "#3f789e"
SHOW_PICTURES = {"LoadImage", "LoadImageMask", "PreviewImage", "SaveImage"}

Prompt: TypeAlias = Mapping[str, Mapping[str, Any]]
Groups: TypeAlias = Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class Box:
    """Where a node stands: its upper left corner, below its title, and its size."""

    x: int
    y: int
    width: int
    height: int

    @property
    def bottom(self) -> int:
        """Where it ends below."""
        return self.y + self.height


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("api_forms", nargs="*", type=Path, default=sorted(WORKFLOWS.glob(f"*{API_FORM}")))
    registry = builtin_registry()
    for path in parser.parse_args().api_forms:
        target = path.with_name(path.name.removesuffix(API_FORM) + ".json")
        target.write_text(ui_text(path, registry), encoding="utf-8")
        print(target)


def ui_text(path: Path, registry: Registry) -> str:
    """What the UI form's file holds for an API form's file."""
    groups = json.loads((path.parent / GROUPS).read_text(encoding="utf-8"))
    prompt = json.loads(path.read_text(encoding="utf-8"))
    form = ui_form(prompt, registry, groups.get(path.name.removesuffix(API_FORM), {}))
    return _in_lines(form)


def _in_lines(form: Mapping[str, Any]) -> str:
    """JSON with a line for each node, link and group, so that changes to them are told apart."""
    parts = []
    for name, value in form.items():
        items = [json.dumps(item, ensure_ascii=False) for item in value] if isinstance(value, list) else []
        said = "[\n    " + ",\n    ".join(items) + "\n  ]" if items else json.dumps(value)
        parts.append(f"  {json.dumps(name)}: {said}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def ui_form(prompt: Prompt, registry: Registry, groups: Groups) -> dict[str, Any]:
    """The UI form of a workflow; ids are whole numbers, its classes are in the registry."""
    links = _links(prompt, registry)
    boxes = arrange(prompt, {key: _size(prompt[key], registry) for key in prompt}, groups)
    order = {key: place for place, key in enumerate(sorted(prompt, key=lambda key: depth(prompt)[key]))}
    return {
        "last_node_id": max(map(int, prompt)),
        "last_link_id": len(links),
        "nodes": [
            _node(key, prompt[key], registry[prompt[key]["class_type"]], boxes[key], order[key], links)
            for key in prompt
        ],
        "links": links,
        "groups": [_frame(title, [boxes[key] for key in keys]) for title, keys in groups.items()],
        "config": {},
        "extra": {},
        "version": 0.4,
    }


def _links(prompt: Prompt, registry: Registry) -> list[list[Any]]:
    """Every link: [id, origin, its output, target, its input, type]."""
    links: list[list[Any]] = []
    for key, entry in prompt.items():
        for place, name in enumerate(_sockets(entry, registry[entry["class_type"]])):
            value = entry["inputs"].get(name)
            if is_link(value):
                origin, slot = value
                kind = registry[prompt[origin]["class_type"]].outputs[slot].type
                links.append([len(links) + 1, int(origin), slot, int(key), place, kind])
    return links


def _sockets(entry: Mapping[str, Any], known: NodeClass) -> list[str]:
    """Inputs that a node shows as sockets: those without a field, and fields that are linked."""
    fields = {spec.name for spec in _fields(known)}
    return [name for name in known.inputs if name not in fields or is_link(entry["inputs"].get(name))]


def _fields(known: NodeClass) -> list[InputInterface]:
    (interface,) = interfaces_of(Registry([known])).values()
    return [entry for entry in interface.inputs if entry.widget]


def _node(
    key: str, entry: Mapping[str, Any], known: NodeClass, box: Box, order: int, links: list[list[Any]]
) -> dict[str, Any]:
    """A node as the front end saves it; a title is said where it is not that of the class."""
    fields = {spec.name for spec in _fields(known)}
    into = {link[4]: link[0] for link in links if link[3] == int(key)}
    out_of = [link for link in links if link[1] == int(key)]
    inputs = [
        {"name": name, "type": str(known.inputs[name].type), "link": into.get(place)}
        | ({"widget": {"name": name}} if name in fields else {})
        | ({} if known.inputs[name].required else {"shape": 7})  # drawn as a ring
        for place, name in enumerate(_sockets(entry, known))
    ]
    outputs = [
        {
            "name": output.name,
            "type": str(output.type),
            "links": [link[0] for link in out_of if link[2] == slot] or None,
            "slot_index": slot,
        }
        for slot, output in enumerate(known.outputs)
    ]
    title = entry["_meta"]["title"]
    return {
        "id": int(key),
        "type": known.name,
        "pos": [box.x, box.y],
        "size": [box.width, box.height],
        "flags": {},
        "order": order,
        "mode": 0,
        "inputs": inputs,
        "outputs": outputs,
        **({} if title == (known.title or known.name) else {"title": title}),
        "properties": {"Node name for S&R": known.name},
        "widgets_values": list(_values(entry, known)),
    }


def _values(entry: Mapping[str, Any], known: NodeClass) -> list[Any]:
    """Values of a node's fields in their order, and of those that the front end adds to them."""
    values: list[Any] = []
    for spec in _fields(known):
        value = entry["inputs"].get(spec.name, spec.default)
        values.append(spec.default if is_link(value) else value)
        values += ["fixed"] if spec.control else []  # what becomes of a seed after a run
    return values + (["image"] if known.name in ("LoadImage", "LoadImageMask") else [])  # the upload button


def _size(entry: Mapping[str, Any], registry: Registry) -> tuple[int, int]:
    """Width and height of a node without its title."""
    known = registry[entry["class_type"]]
    fields = [spec for spec in _fields(known) if not is_link(entry["inputs"].get(spec.name))]
    long = [spec for spec in fields if known.inputs[spec.name].options.get("multiline")]
    short = len(_values(entry, known)) - len(long)
    height = SLOT * max(len(_sockets(entry, known)), len(known.outputs)) + 6
    height += WIDGET * short + TEXT_HEIGHT * len(long) + (8 if fields else 0)
    height += PICTURE if known.name in SHOW_PICTURES else 0
    return TEXT_WIDTH if long else WIDTH if fields else NARROW, height


# Where nodes stand


def depth(prompt: Prompt) -> dict[str, int]:
    """How many links the longest way to a node has; nodes that need nothing stand just before their users."""
    found: dict[str, int] = {}
    feeds = {key: [v[0] for v in entry["inputs"].values() if is_link(v)] for key, entry in prompt.items()}
    while len(found) < len(prompt):
        found |= {
            key: 1 + max((found[source] for source in sources), default=-1)
            for key, sources in feeds.items()
            if key not in found and all(source in found for source in sources)
        }
    for key in (key for key, sources in feeds.items() if not sources):
        users = [found[user] for user, sources in feeds.items() if key in sources]
        found[key] = min(users, default=1) - 1
    return found


def arrange(prompt: Prompt, sizes: Mapping[str, tuple[int, int]], groups: Groups) -> dict[str, Box]:
    """Boxes that do not overlap: a column for each depth, a lane for each group and one for the rest."""
    depths = depth(prompt)
    columns = range(max(depths.values()) + 1)
    widths = [
        max((sizes[key][0] for key in prompt if depths[key] == column), default=0) for column in columns
    ]
    left = [sum(width + COLUMN_GAP for width in widths[:column]) for column in columns]
    grouped = {key for keys in groups.values() for key in keys}
    lanes = [[key for key in prompt if key not in grouped], *map(list, groups.values())]
    boxes: dict[str, Box] = {}
    top = 0
    for lane in filter(None, lanes):
        ends = dict.fromkeys(columns, top)
        for key in sorted(lane, key=lambda key: (depths[key], int(key))):
            column = depths[key]
            box = Box(left[column], ends[column] + TITLE, *sizes[key])
            boxes[key], ends[column] = box, box.bottom + ROW_GAP
        top = max(ends.values()) + LANE_GAP
    return boxes


def _frame(title: str, boxes: Sequence[Box]) -> dict[str, Any]:
    """A group around boxes."""
    left, top = min(box.x for box in boxes) - FRAME, min(box.y for box in boxes) - TITLE - FRAME_TITLE
    right, bottom = max(box.x + box.width for box in boxes) + FRAME, max(box.bottom for box in boxes) + FRAME
    return {"title": title, "bounding": [left, top, right - left, bottom - top], "color": FRAME_COLOR}


if __name__ == "__main__":
    main()
