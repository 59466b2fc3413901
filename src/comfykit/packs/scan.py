"""What a pack offers and asks for, read from its source without running any of it.

Class names stand in dictionaries whose name ends in `NODE_CLASS_MAPPINGS`, in assignments to their items
and updates, and as the `node_id` of a `Schema`. Names that a pack computes are not seen; `complete` says
whether it seems to compute any. Tests, examples and documentation are left out.
"""

from __future__ import annotations

import ast
import os
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

MAPPINGS = "NODE_CLASS_MAPPINGS"
# ComfyUI's modules, by the first part of their names.
HOST = frozenset(
    {
        *("comfy", "comfy_api", "comfy_api_nodes", "comfy_config", "comfy_execution", "comfy_extras"),
        *("comfyui_version", "cuda_malloc", "execution", "folder_paths", "latent_preview", "node_helpers"),
        *("nodes", "server"),
    }
)
SKIPPED = frozenset(
    {
        *("__pycache__", "node_modules", "web", "js", "dist", "docs", "doc", "test", "tests"),
        *("example", "examples", "example_workflows"),
    }
)
LARGEST = 4 << 20


@dataclass(frozen=True, slots=True)
class Scan:
    """What the sources of a pack say.

    `classes` are the names it offers as far as they are written out; `host` the dotted names of ComfyUI's
    modules and of what is used of them; `broken` the files that are no Python this interpreter reads.
    """

    classes: tuple[str, ...] = ()
    complete: bool = True
    host: tuple[str, ...] = ()
    broken: tuple[str, ...] = ()


def scan(pack: Path) -> Scan:
    """Read a pack's folder, or its single file."""
    classes: dict[str, None] = {}
    host: set[str] = set()
    broken: list[str] = []
    complete = True
    for file in sources(pack):
        name = file.name if file == pack else file.relative_to(pack).as_posix()
        tree = _parse(file)
        if tree is None:
            broken.append(name)
            continue
        found = _File(tree)
        classes |= dict.fromkeys(found.classes)
        complete = complete and found.complete
        host |= set(_host_names(tree))
    return Scan(tuple(classes), complete and bool(classes) and not broken, tuple(sorted(host)), tuple(broken))


def sources(pack: Path) -> list[Path]:
    """Python files of a pack that may be imported, in a stable order."""
    return [path for path, _ in source_files(pack)]


def source_files(pack: Path) -> list[tuple[Path, os.stat_result]]:
    """The same with what the file system says of them."""
    if pack.is_file():
        return [(pack, pack.stat())]
    return list(_walk(pack))


def _walk(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        return
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if entry.is_dir(follow_symlinks=False):
            if entry.name.casefold() not in SKIPPED:
                yield from _walk(folder / entry.name)
        elif entry.name.endswith(".py"):
            try:
                yield folder / entry.name, entry.stat()
            except OSError:  # a link to nothing
                continue


def _parse(file: Path) -> ast.Module | None:
    try:
        if file.stat().st_size > LARGEST:
            return None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a stranger's escapes and comparisons
            return ast.parse(file.read_bytes(), str(file))
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return None


class _File:
    """The class names in one file."""

    def __init__(self, tree: ast.Module) -> None:
        self.classes: list[str] = []
        self.complete = True
        self._texts = dict(_constants(tree))
        self._aliases = set(_aliases(tree))
        for node in ast.walk(tree):
            if isinstance(node, ast.Assign):
                for target in node.targets:
                    self._assigned(target, node.value)
            elif isinstance(node, ast.AnnAssign | ast.AugAssign) and node.value is not None:
                self._assigned(node.target, node.value)
            elif isinstance(node, ast.Call):
                self._called(node)

    def _assigned(self, target: ast.expr, value: ast.expr) -> None:
        if _is_mappings(target):
            self._mapping(value)
        elif isinstance(target, ast.Subscript) and _is_mappings(target.value):
            self._key(target.slice)

    def _called(self, call: ast.Call) -> None:
        function = call.func
        if isinstance(function, ast.Attribute) and function.attr == "update" and _is_mappings(function.value):
            for argument in call.args:
                self._mapping(argument)
        elif _last_part(function) == "Schema":
            ids = [keyword.value for keyword in call.keywords if keyword.arg == "node_id"] or call.args[:1]
            for value in ids:
                self._key(value)

    def _mapping(self, value: ast.expr) -> None:
        if isinstance(value, ast.Dict):
            for key, item in zip(value.keys, value.values, strict=True):
                if key is None:
                    self._mapping(item)
                else:
                    self._key(key)
        elif isinstance(value, ast.BinOp):
            self._mapping(value.left)
            self._mapping(value.right)
        elif not (_is_mappings(value) or _last_part(value) in self._aliases):
            self.complete = False

    def _key(self, key: ast.expr) -> None:
        text = key.value if isinstance(key, ast.Constant) else self._texts.get(_last_part(key))
        if isinstance(text, str):
            self.classes.append(text)
        else:
            self.complete = False


def _constants(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Names that a file gives to texts, for keys that are written as such names."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
            for target in node.targets:
                if isinstance(target, ast.Name) and isinstance(node.value.value, str):
                    yield target.id, node.value.value


def _aliases(tree: ast.Module) -> Iterator[str]:
    """Other names under which a file imports such dictionaries, which are read where they are made."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                if alias.asname and MAPPINGS in alias.name.upper():
                    yield alias.asname


def _is_mappings(value: ast.expr) -> bool:
    """Whether an expression is a dictionary of classes; packs join several: `TEXT_NODE_CLASS_MAPPINGS`."""
    name = _last_part(value).upper()
    return name.endswith(MAPPINGS) or name.startswith(MAPPINGS)


def _last_part(value: ast.expr) -> str:
    if isinstance(value, ast.Attribute):
        return value.attr
    return value.id if isinstance(value, ast.Name) else ""


# ComfyUI's names


def _host_names(tree: ast.Module) -> Iterator[str]:
    aliases = dict(_imported(tree))
    yield from aliases.values()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            parts = _dotted(node)
            if parts and parts[0] in aliases:
                yield ".".join([aliases[parts[0]], *parts[1:]])


def _imported(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """(name in the file, dotted name) of what a file imports from ComfyUI."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.partition(".")[0] in HOST:
                    top = alias.name.partition(".")[0]
                    yield (alias.asname, alias.name) if alias.asname else (top, top)
                    if not alias.asname:
                        yield f" {alias.name}", alias.name  # under no name of its own
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and _of_host(node.module):
            for alias in node.names:
                if alias.name == "*":
                    yield f" {node.module}", str(node.module)
                else:
                    yield alias.asname or alias.name, f"{node.module}.{alias.name}"


def _of_host(module: str | None) -> bool:
    return module is not None and module.partition(".")[0] in HOST


def _dotted(node: ast.Attribute) -> list[str]:
    parts = [node.attr]
    value = node.value
    while isinstance(value, ast.Attribute):
        parts.append(value.attr)
        value = value.value
    return [value.id, *reversed(parts)] if isinstance(value, ast.Name) else []
