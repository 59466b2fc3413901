"""Who may import whom, and what may not happen below the command line.

Every import counts: those inside functions, those for type checkers only, and
`importlib.import_module` with a name in quotes.
"""

from __future__ import annotations

import ast
import graphlib
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import comfykit

SOURCE = Path(comfykit.__file__).parent

# A unit is a package or module below comfykit; a module inside a package may be a unit of its own. Each
# may import itself, those named here, and ALWAYS. A new package gets a row.
ALWAYS = {"", "errors", "events"}  # "" is comfykit/__init__.py: the version
BELOW_SERVICES = {
    "home",
    "settings",
    "workflow",
    "engine",
    "nodes",
    "families",
    "text",
    "sampling",
    "models",
    "weights",
    "weights.header",
    "memory",
    "fetch",
    "doctor",
    "packs",
    "compat",
}
MAY_IMPORT: dict[str, set[str]] = {
    "": {"api"},
    "errors": set(),
    "events": set(),
    "home": set(),
    "settings": {"home"},
    "engine": set(),
    "workflow": {"engine"},
    "memory": set(),
    "sampling": set(),
    "models": set(),
    "weights.header": {"weights.magic"},
    "weights.magic": set(),
    "weights": {"models", "weights.header", "weights.magic"},
    "text": {"weights", "weights.header", "models", "home"},
    "families": {"text", "sampling", "models", "weights", "weights.header", "memory", "home"},
    "nodes": {
        "engine",
        "families",
        "text",
        "sampling",
        "models",
        "weights",
        "weights.header",
        "memory",
        "home",
        "settings",
    },
    "fetch": {"home", "settings", "weights.header"},
    "doctor": {"home", "settings", "weights.header", "weights.magic"},
    "packs": {"home", "settings", "fetch"},
    "compat": {
        "packs",
        "nodes",
        "engine",
        "workflow",
        "weights.magic",
        "families",
        "text",
        "sampling",
        "models",
        "weights",
        "weights.header",
        "memory",
        "home",
        "settings",
    },
    "services": BELOW_SERVICES,
    "api": {"services", *BELOW_SERVICES},
    "__main__": {"cli"},
    "cli": {"services", "settings", "home", "engine", "workflow", "fetch", "doctor", "packs"},
}

# Units that work where torch is not installed, or broken; the probe exists to import it.
TORCHLESS = {
    "",
    "errors",
    "events",
    "home",
    "settings",
    "engine",
    "workflow",
    "fetch",
    "doctor",
    "packs",
    "weights.header",
    "weights.magic",
    "cli",
}
TORCH = {"torch", "torchsde", "transformers", "safetensors.torch"}
PROBE = "doctor.sources.probe"

ENDS_OR_TALKS = {"print", "input", "breakpoint", "exit", "quit", "sys.exit", "os._exit", "SystemExit"}


@dataclass(frozen=True)
class Module:
    """A source file; `name` is its dotted name below comfykit, "" for comfykit/__init__.py."""

    name: str
    tree: ast.Module
    is_package: bool

    @property
    def unit(self) -> str:
        return unit_of(self.name)


def unit_of(name: str) -> str:
    """The unit that a dotted name belongs to: the longest row that leads to it, else its first part."""
    parts = name.split(".")
    prefixes = [".".join(parts[:count]) for count in range(len(parts), 0, -1)]
    return next((prefix for prefix in prefixes if prefix in MAY_IMPORT), parts[0])


def read(source: Path) -> list[Module]:
    modules = []
    for path in sorted(source.rglob("*.py")):
        parts = path.relative_to(source).with_suffix("").parts
        is_package = parts[-1] == "__init__"
        name = ".".join(parts[:-1] if is_package else parts)
        modules.append(Module(name, ast.parse(path.read_text(encoding="utf-8"), str(path)), is_package))
    return modules


def imports(module: Module) -> Iterator[tuple[int, str]]:
    """Line and full dotted name of everything a module imports."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield node.lineno, f"{origin(module, node)}.{alias.name}"
        elif isinstance(node, ast.Call) and called(node) in (
            "importlib.import_module",
            "import_module",
            "__import__",
        ):
            for argument in node.args[:1]:
                if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                    yield node.lineno, argument.value


def origin(module: Module, node: ast.ImportFrom) -> str:
    """The module that a `from ... import` names, with leading dots resolved."""
    if node.level == 0:
        return node.module or ""
    here = ["comfykit", *module.name.split(".")] if module.name else ["comfykit"]
    up = node.level - 1 if module.is_package else node.level
    return ".".join([*here[: len(here) - up], *([node.module] if node.module else [])])


def called(node: ast.Call) -> str:
    return ast.unparse(node.func) if isinstance(node.func, ast.Name | ast.Attribute) else ""


def within(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def own_imports(module: Module, names: set[str]) -> Iterator[tuple[int, str, str]]:
    """Line, dotted name below comfykit and unit of what a module imports from comfykit."""
    for line, full in imports(module):
        if within(full, "comfykit"):
            below = full.removeprefix("comfykit").removeprefix(".")
            while below and below not in names:  # a class or a function of a module
                below = below.rpartition(".")[0]
            yield line, below, unit_of(below) if below else ""


def names_of(modules: list[Module]) -> set[str]:
    """Dotted names of the modules and of the packages they lie in."""
    parts = [module.name.split(".") for module in modules]
    return {".".join(name[:count]) for name in parts for count in range(1, len(name) + 1)}


def layer_problems(modules: list[Module]) -> list[str]:
    names = names_of(modules)
    problems = []
    for module in modules:
        if module.unit not in MAY_IMPORT:
            problems.append(f"{module.name}: {module.unit} has no row in MAY_IMPORT")
            continue
        allowed = ALWAYS | MAY_IMPORT[module.unit] | {module.unit}
        problems += [
            f"{module.name}:{line} imports {name or 'comfykit'}"
            for line, name, unit in own_imports(module, names)
            if unit not in allowed
        ]
    return problems


def torch_problems(modules: list[Module]) -> list[str]:
    return [
        f"{module.name}:{line} imports {name}"
        for module in modules
        if module.unit in TORCHLESS and module.name != PROBE
        for line, name in imports(module)
        if any(within(name, library) for library in TORCH)
    ]


def talk_problems(modules: list[Module]) -> list[str]:
    problems = []
    for module in modules:
        if module.unit == "cli":
            continue
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Call) and called(node) in ENDS_OR_TALKS:
                problems.append(f"{module.name}:{node.lineno} calls {called(node)}")
            elif (
                isinstance(node, ast.Raise)
                and isinstance(node.exc, ast.Name)
                and node.exc.id in ENDS_OR_TALKS
            ):
                problems.append(f"{module.name}:{node.lineno} raises {node.exc.id}")
        problems += [
            f"{module.name}:{line} imports {name}" for line, name in imports(module) if name == "sys.exit"
        ]
    return problems


def cycle(modules: list[Module]) -> list[str]:
    """Units that import one another in a circle, if any do."""
    names = names_of(modules)
    graph: dict[str, set[str]] = {}
    for module in modules:
        graph.setdefault(module.unit, set()).update(
            unit for _, _, unit in own_imports(module, names) if unit not in (module.unit, "")
        )
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        return list(error.args[1])
    return []


@pytest.fixture(scope="module")
def modules() -> list[Module]:
    found = read(SOURCE)
    assert {"errors", "cli.app", PROBE} <= {module.name for module in found}
    return found


def test_imports_point_down(modules: list[Module]) -> None:
    assert layer_problems(modules) == []


def test_the_table_itself_points_down() -> None:
    graphlib.TopologicalSorter(MAY_IMPORT).prepare()
    assert set().union(*MAY_IMPORT.values()) <= set(MAY_IMPORT)


def test_no_torch_where_there_may_be_none(modules: list[Module]) -> None:
    assert torch_problems(modules) == []


def test_nothing_below_the_command_line_prints_asks_or_exits(modules: list[Module]) -> None:
    assert talk_problems(modules) == []


def test_no_circles(modules: list[Module]) -> None:
    assert cycle(modules) == []


def test_importing_them_all_does_not_bring_torch_in_by_a_back_door(modules: list[Module]) -> None:
    """Also not through a package's __init__.py, which importing one of its modules runs."""
    names = [f"comfykit.{module.name}".rstrip(".") for module in modules if module.unit in TORCHLESS]
    code = f"import importlib, sys\nfor name in {names!r}:\n    importlib.import_module(name)\n"
    code += "    assert 'torch' not in sys.modules, name\nsys.stdout.write('done')"
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=False, timeout=60
    )
    assert (ended.stdout, ended.stderr) == ("done", "")


# The checks themselves, on sources that break each rule


def write(folder: Path, **sources: str) -> list[Module]:
    """Modules from sources; `engine__graph` is the file engine/graph.py."""
    for name, source in {"__init__": "", **sources}.items():
        path = folder.joinpath(*name.split("__")).with_suffix(".py") if "__init__" not in name else None
        path = path or folder / name.replace("__init__", "").replace("__", "/") / "__init__.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source, encoding="utf-8")
    return read(folder)


@pytest.mark.parametrize(
    "statement",
    [
        "import comfykit.fetch.transfer",
        "from comfykit.fetch.transfer import fetch",
        "from comfykit.fetch import transfer",
        "from comfykit import fetch",
        "from ..fetch import transfer",
        "from ..fetch.transfer import fetch",
        "def later():\n    from comfykit.fetch import transfer",
        "if TYPE_CHECKING:\n    from comfykit.fetch import transfer",
        "import importlib\nimportlib.import_module('comfykit.fetch.transfer')",
    ],
)
def test_an_import_that_points_up_or_sideways_is_found(tmp_path: Path, statement: str) -> None:
    sources = {"fetch__transfer": "def fetch(): ...", "engine__graph": statement}
    (problem,) = layer_problems(write(tmp_path, **sources))
    assert problem.startswith("engine.graph:")
    assert "imports fetch" in problem


@pytest.mark.parametrize(
    "statement",
    [
        "import comfykit",
        "from comfykit import __version__",
        "from comfykit.errors import UsageError",
        "from comfykit.weights.header import read_header",
        "from comfykit.weights import header",
        "from comfykit.fetch import mirrors",
        "from . import mirrors",
        "from .mirrors import order",
        "import json.decoder",
    ],
)
def test_what_is_allowed_is_let_through(tmp_path: Path, statement: str) -> None:
    sources = {"errors": "", "weights__header": "", "fetch__mirrors": "", "fetch__transfer": statement}
    assert layer_problems(write(tmp_path, **sources)) == []


def test_one_module_of_a_package_may_be_allowed_without_the_rest(tmp_path: Path) -> None:
    sources = {
        "weights__header": "",
        "weights__read": "",
        "fetch__transfer": "from comfykit.weights import read",
    }
    assert layer_problems(write(tmp_path, **sources)) == ["fetch.transfer:1 imports weights.read"]


def test_a_package_without_a_row_is_found(tmp_path: Path) -> None:
    assert layer_problems(write(tmp_path, novelty__thing="")) == [
        "novelty.thing: novelty has no row in MAY_IMPORT"
    ]


@pytest.mark.parametrize(
    ("statement", "library"),
    [
        ("import torch", "torch"),
        ("from torch import nn", "torch.nn"),
        ("def later():\n    import torch.nn", "torch.nn"),
        ("from safetensors.torch import load_file", "safetensors.torch.load_file"),
    ],
)
def test_torch_is_found(tmp_path: Path, statement: str, library: str) -> None:
    (problem,) = torch_problems(write(tmp_path, engine__executor=statement, models__unet=statement))
    assert problem.startswith("engine.executor:")
    assert problem.endswith(f"imports {library}")
    assert torch_problems(write(tmp_path, engine__executor="from torchlight import x")) == []


@pytest.mark.parametrize(
    "statement",
    [
        "print('x')",
        "answer = input()",
        "sys.exit(1)",
        "from sys import exit",
        "raise SystemExit",
        "raise SystemExit(1)",
        "os._exit(1)",
    ],
)
def test_talk_is_found_below_the_command_line_alone(tmp_path: Path, statement: str) -> None:
    modules = write(tmp_path, services__run=statement, cli__run=statement)
    (problem,) = talk_problems(modules)
    assert problem.startswith("services.run:1")


def test_a_circle_is_found(tmp_path: Path) -> None:
    sources = {
        "text__encode": "from comfykit.weights import read",
        "weights__read": "def later():\n    from comfykit.text import encode",
    }
    assert set(cycle(write(tmp_path, **sources))) == {"text", "weights"}
