from __future__ import annotations

import ast
import re
from pathlib import Path

import comfykit
from comfykit import errors
from comfykit.errors import ComfykitError, UsageError

SOURCE = Path(comfykit.__file__).parent


def drawn() -> dict[str, str]:
    """Parent of each class in the tree at the top of errors.py, from how far it is set in."""
    lines = [line[4:] for line in (errors.__doc__ or "").splitlines() if re.match(r"    [\w│├└]", line)]
    above: list[str] = []
    parents: dict[str, str] = {}
    for line in lines:
        name = re.search(r"\w+", line)
        assert name is not None
        depth = name.start() // 4
        above[depth:] = [name[0]]
        parents[name[0]] = above[depth - 1] if depth else "Exception"
    return parents


def defined() -> dict[str, str]:
    """First base of each class of the tree, wherever in the source it is defined.

    What packs find by ComfyUI's names, below compat/host, is not of it.
    """
    bases = {
        node.name: node.bases[0].id
        for path in SOURCE.rglob("*.py")
        if "host" not in path.parts
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.ClassDef) and node.bases and isinstance(node.bases[0], ast.Name)
    }

    def is_ours(name: str) -> bool:
        return name == "ComfykitError" or (name in bases and is_ours(bases[name]))

    return {name: base for name, base in bases.items() if is_ours(name)}


def test_the_tree_is_as_drawn() -> None:
    assert defined() == drawn()


def test_every_error_has_a_code_of_its_own() -> None:
    codes = [kind.code for kind in kinds(ComfykitError)]
    assert len(codes) == len(set(codes))
    assert all(re.fullmatch(r"[a-z_]+", code) for code in codes)


def kinds(root: type[ComfykitError]) -> list[type[ComfykitError]]:
    own = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, root)]
    assert len(own) > 8
    return own


def test_an_error_is_a_sentence_with_facts_and_perhaps_a_hint() -> None:
    error = UsageError("no such file", hint="look elsewhere", file="a.json")
    assert (str(error), error.hint, error.facts) == ("no such file", "look elsewhere", {"file": "a.json"})
    assert ComfykitError("alone").hint is None
