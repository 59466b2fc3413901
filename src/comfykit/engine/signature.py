"""Cache keys: two nodes with the same key have the same outputs.

A key is a hash of the class, the fingerprint, the constants and, for every link, the key and slot of
its source. Ids do not matter, so a workflow whose nodes were renumbered finds its results again;
they do for classes that are not idempotent or that ask for their id. A constant that cannot be
compared, a NaN or a failing fingerprint gives a key that is never found.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Mapping, Sequence

from comfykit.engine.graph import Graph, Node, is_link
from comfykit.engine.registry import Registry
from comfykit.engine.schema import NodeClass

_never = itertools.count()


def sign(graph: Graph, order: Sequence[str], registry: Registry, keys: dict[str, str]) -> None:
    """Put the keys of the nodes in `order` (sources first) into `keys`, which may hold others already."""
    for node in order:
        keys[node] = _key(graph[node], registry[graph[node].class_type], keys)


def _key(node: Node, entry: NodeClass, keys: Mapping[str, str]) -> str:
    parts: list[object] = [node.class_type, _fingerprint(node, entry)]
    if entry.not_idempotent or "UNIQUE_ID" in entry.hidden.values():
        parts.append(node.id)
    for name in sorted(node.inputs):
        value = node.inputs[name]
        spec = entry.inputs.get(name)
        if is_link(value) and not (spec is not None and spec.raw_link):
            parts.append([name, keys.get(value[0], value[0]), value[1]])
        else:
            parts.append([name, {"constant": value}])
    return _digest(parts)


def _fingerprint(node: Node, entry: NodeClass) -> object:
    if entry.fingerprint is None:
        return None
    given = {
        name: None if is_link(value) else value
        for name, value in node.inputs.items()
        if name in entry.hidden or name in entry.inputs
    }
    try:
        return [entry.fingerprint(**given)]
    except Exception:  # noqa: BLE001  (a stranger's code; ComfyUI too runs such a node every time)
        return float("nan")


def _digest(parts: Sequence[object]) -> str:
    try:
        text = json.dumps(parts, sort_keys=True, allow_nan=False)
    except (TypeError, ValueError):
        return f"never-{next(_never)}"
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
