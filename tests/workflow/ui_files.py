"""Workflows in UI form in the making, and interfaces of a few made-up node classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from comfykit.workflow.convert import Converted, convert
from comfykit.workflow.interface import Interfaces, from_object_info

NOW = datetime(2025, 3, 7, 9, 5, 2)
SEED = ["INT", {"default": 0, "min": 0, "max": 2**64 - 1, "control_after_generate": True}]


def described(
    required: Mapping[str, Any], optional: Mapping[str, Any] | None = None, **fields: Any
) -> dict[str, Any]:
    """A class as `/object_info` describes it."""
    return {"input": {"required": dict(required), "optional": dict(optional or {})}, **fields}


INTERFACES: Interfaces = from_object_info(
    {
        "Load": described({"name": [["a.safetensors", "b.safetensors"], {}]}, display_name="Load Checkpoint"),
        "Text": described(
            {"text": ["STRING", {"multiline": True, "dynamicPrompts": True}], "clip": ["CLIP"]}
        ),
        "Sample": described(
            {
                "model": ["MODEL"],
                "seed": SEED,
                "steps": ["INT", {"default": 20}],
                "sampler": [["euler", "ddim"]],
            },
            {"positive": ["CONDITIONING"]},
            display_name="Sampler",
        ),
        "Patch": described({"model": ["MODEL"], "scale": ["FLOAT", {"default": 1.0}]}),
        "Save": described({"latent": ["LATENT"], "filename_prefix": ["STRING", {"default": "out"}]}),
        "Numbers": described({"values": ["CURVE", {}], "on": ["BOOLEAN", {"default": True}]}),
        "Photo": described({"image": [["x.png"], {"image_upload": True}]}),
    }
)


def node(key: int | str, kind: str, values: Any = None, **fields: Any) -> dict[str, Any]:
    """A node; `inputs` and `outputs` as `slot` makes them."""
    made: dict[str, Any] = {"id": key, "type": kind, "mode": 0, "inputs": [], "outputs": [], **fields}
    return made if values is None else {**made, "widgets_values": values}


def slot(
    name: str, kind: str = "*", link: int | None = None, *, widget: bool = False, **more: Any
) -> dict[str, Any]:
    """An input; with `widget` one that stands for a field."""
    made = {"name": name, "type": kind, "link": link, **more}
    return {**made, "widget": {"name": name}} if widget else made


def out(kind: str) -> dict[str, Any]:
    """An output."""
    return {"name": kind, "type": kind, "links": []}


def drawn(nodes: Sequence[dict[str, Any]], links: Sequence[Any] = (), **more: Any) -> dict[str, Any]:
    """A whole file; links are (id, origin, slot, target, slot)."""
    return {"nodes": list(nodes), "links": [[*link, "*"] for link in links], "version": 0.4, **more}


def small() -> dict[str, Any]:
    """Load -> Sample -> Save."""
    return drawn(
        [
            node(4, "Load", ["a.safetensors"], outputs=[out("MODEL")]),
            node(
                3,
                "Sample",
                [7, "randomize", 25, "ddim"],
                inputs=[slot("model", "MODEL", 1)],
                outputs=[out("LATENT")],
            ),
            node(9, "Save", ["x"], inputs=[slot("latent", "LATENT", 2)], title="Keep"),
        ],
        [(1, 4, 0, 3, 0), (2, 3, 0, 9, 0)],
    )


def converted(document: Mapping[str, Any], interfaces: Interfaces = INTERFACES) -> Converted:
    return convert(document, interfaces, "flow.json", NOW)


def inputs_of(document: Mapping[str, Any], key: str) -> dict[str, Any]:
    """The inputs that a node has in API form."""
    inputs: dict[str, Any] = converted(document).prompt[key]["inputs"]
    return inputs
