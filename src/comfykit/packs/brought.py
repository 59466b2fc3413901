"""What packs import without listing it, because ComfyUI's own installation brings it.

A pack's author has it, so nobody misses it in `requirements.txt`. Here it is wanted by the pack like the
rest, with the line that imports it in place of one that lists it. An import within `try` can be done without.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from comfykit.packs.requirement_lines import Requirement, read_requirement
from comfykit.packs.scan import sources

# Modules of packages that ComfyUI lists or always has, and that comfykit itself does without.
BROUGHT: Mapping[str, str] = {
    "aiohttp": "aiohttp",
    "av": "av",
    "einops": "einops",
    "kornia": "kornia",
    "pydantic": "pydantic",
    "requests": "requests",
    "sentencepiece": "sentencepiece",
    "spandrel": "spandrel",
    "sqlalchemy": "sqlalchemy",
    "torchaudio": "torchaudio",
    "torchvision": "torchvision",
    "tqdm": "tqdm",
    "yarl": "yarl",
}
_LARGEST = 2 * 1024 * 1024
_MENTIONED = re.compile(rf"^\s*(?:import|from)\s[^#\n]*\b(?:{'|'.join(BROUGHT)})\b".encode(), re.MULTILINE)


def brought(pack: Path, named: Collection[str | None] = ()) -> Iterator[Requirement]:
    """Requirements on what a pack's source imports of it, less what is `named` already."""
    seen = set(named)
    for file in sources(pack):
        for line, module in _imports(file):
            distribution = BROUGHT[module]
            if distribution not in seen:
                seen.add(distribution)
                place = file.name if file == pack else file.relative_to(pack).as_posix()
                yield read_requirement(distribution, pack=pack, file=place, line=line)


def _imports(file: Path) -> list[tuple[int, str]]:
    """(line, module) of what a file cannot do without; most files are not even parsed."""
    try:
        source = file.read_bytes() if file.stat().st_size <= _LARGEST else b""
        if not _MENTIONED.search(source):
            return []
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a stranger's escapes and comparisons
            tree = ast.parse(source, str(file))
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    return sorted(_of(tree))


def _of(tree: ast.Module) -> Iterator[tuple[int, str]]:
    todo: list[ast.AST] = [tree]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names = [node.module or ""]
        else:
            names = []
            todo.extend(_wanted_parts(node))
        for name in names:
            if (top := name.partition(".")[0]) in BROUGHT:
                yield node.lineno, top  # type: ignore[attr-defined]


def _wanted_parts(node: ast.AST) -> Iterator[ast.AST]:
    """The parts of a node that run without anybody ready to do without: not the body of a `try`."""
    if isinstance(node, ast.Try | ast.TryStar) and node.handlers:
        yield from (*node.orelse, *node.finalbody)
    elif isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
        yield from node.orelse
    else:
        yield from ast.iter_child_nodes(node)
