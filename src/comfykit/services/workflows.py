"""What can be done with a workflow besides running it: convert, describe and check it.

Nothing here loads a model. What needs the node classes imports torch with them, which is why they are asked
for when they are needed and not before.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from comfykit.engine.graph import Graph, Node, graph_from_prompt, is_link, upstream
from comfykit.engine.registry import Registry
from comfykit.engine.schema import COMBO, Listing, NodeClass
from comfykit.engine.validate import Problem, validate
from comfykit.errors import UsageError
from comfykit.events import Reporter, silent
from comfykit.fetch.catalog import how_to_fetch
from comfykit.home import MODEL_KINDS, WEIGHT_SUFFIXES, canonical_kind
from comfykit.services.environment import HomeEnvironment
from comfykit.settings import Settings
from comfykit.workflow.bulk import without_collection
from comfykit.workflow.document import mapping, mappings, text
from comfykit.workflow.interface import (
    ClassInterface,
    InputInterface,
    Interfaces,
    has_control,
    has_widget,
    read_object_info,
)
from comfykit.workflow.read import Workflow, read_workflow

MODELS = "models/"


# The interfaces of node classes


class NodeClasses:
    """The built-in node classes, imported at the first use, and the interfaces of others from a file.

    With settings, also the classes of packs in their home, each pack imported when it is needed.
    """

    def __init__(
        self,
        object_info: Path | None = None,
        registry: Registry | None = None,
        settings: Settings | None = None,
        reporter: Reporter = silent,
    ) -> None:
        self._others: Interfaces = {} if object_info is None else read_object_info(object_info)
        self._registry = registry
        self._settings = settings
        self._report = reporter

    @property
    def registry(self) -> Registry:
        """The classes that can run here."""
        if self._registry is None:
            if self._settings is None:
                from comfykit.nodes.builtin import builtin_registry

                self._registry = builtin_registry()
            else:
                from comfykit.compat.registry import PackRegistry

                self._registry = PackRegistry(self._settings, self._report)
        return self._registry

    def interfaces(self) -> Interfaces:
        """Of every class that is known; the engine's own go first."""
        return _Interfaces(self._others, self.registry)


class _Interfaces(Mapping[str, ClassInterface]):
    """Those of the classes of a registry, which may come as they are asked for, then those of a file."""

    def __init__(self, others: Interfaces, registry: Registry) -> None:
        self._others = others
        self._registry = registry
        self._made: dict[str, ClassInterface] = {}

    def __getitem__(self, name: str) -> ClassInterface:
        if name not in self._made:
            entry = self._registry.get(name)
            self._made[name] = self._others[name] if entry is None else _interface(entry)
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter({**self._others, **{entry.name: None for entry in self._registry}})

    def __len__(self) -> int:
        return len(list(iter(self)))


def interfaces_of(registry: Registry) -> dict[str, ClassInterface]:
    """What the front end would know of the classes of a registry."""
    return {entry.name: _interface(entry) for entry in registry}


def _interface(entry: NodeClass) -> ClassInterface:
    inputs = []
    for name, spec in sorted(entry.inputs.items(), key=lambda item: not item[1].required):
        kind, options = str(spec.type), spec.options
        first = (
            spec.choices[0] if kind == COMBO and isinstance(spec.choices, tuple) and spec.choices else None
        )
        inputs.append(
            InputInterface(
                name,
                kind,
                spec.required,
                not (spec.socket_only or spec.raw_link) and has_widget(kind, options),
                first if spec.default is None else spec.default,
                has_control(name, kind, options),
                bool(options.get("file_upload")),
                bool(options.get("dynamicPrompts")),
            )
        )
    return ClassInterface(entry.name, entry.title or entry.name, tuple(inputs))


# Reading and converting


def read(source: str, classes: NodeClasses) -> Workflow:
    """A workflow of either form in API form; raises `WorkflowError` where it cannot be read."""
    return read_workflow(source, classes.interfaces)


def write_whole(path: Path, content: str) -> None:
    """Write a text file that appears whole or not at all; raises `UsageError` where it cannot be written."""
    if path.is_dir():
        raise UsageError(f"{path} is a folder", hint="name a file in it")
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        partial.write_text(content, encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise UsageError(f"{path} cannot be written: {error.strerror or error}") from error


# Checking


def check(workflow: Workflow, classes: NodeClasses, settings: Settings) -> list[Problem]:
    """Every problem of a workflow: what its conversion lost, and what would stop it from running."""
    from comfykit.nodes.folders import use_folders

    with without_collection(), use_folders(settings):
        graph = graph_from_prompt(workflow.prompt)
        classes.registry.prepare_graph(graph)
        checked = validate(graph, classes.registry, HomeEnvironment(settings))
    return [*workflow.problems, *checked.problems]


# Describing


@dataclass(frozen=True, slots=True)
class Feed:
    """An input that output `slot` of the node `source` feeds."""

    input: str
    source: str
    slot: int


@dataclass(frozen=True, slots=True)
class Step:
    """A node of a workflow: what feeds it, and the values of its other inputs, which `--set` can change.

    `runs` is false where no output needs it.
    """

    id: str
    class_type: str
    title: str
    runs: bool
    feeds: tuple[Feed, ...] = ()
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Model:
    """A file that a workflow names. `folder` is None where its class is not known and the file does not say.

    `command` fetches it, where a shipped list knows it; `url` is what the workflow itself says of its origin.
    """

    name: str
    folder: str | None
    there: bool
    nodes: tuple[str, ...] = ()
    command: str | None = None
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Description:
    """A workflow for people: its nodes in an order they can run in, and the models they name."""

    steps: tuple[Step, ...]
    models: tuple[Model, ...]


def describe(workflow: Workflow, classes: NodeClasses, settings: Settings) -> Description:
    """What a workflow does and needs; raises nothing, whatever is wrong with it."""
    with without_collection():
        graph = graph_from_prompt(workflow.prompt)
        used = {source for node in graph for _, source, _ in node.links()}
        outputs = [node.id for node in graph if _is_output(node, classes.registry)]
        needed = upstream(graph, outputs or [node.id for node in graph if node.id not in used]).order
        runs = set(needed)
        rest = [key for key in upstream(graph, graph.nodes).order if key not in runs]
        steps = tuple(_step(graph[key], key in runs) for key in (*needed, *rest))
        return Description(steps, tuple(_models(workflow, graph, classes.registry, settings)))


def _is_output(node: Node, registry: Registry) -> bool:
    entry = registry.get(node.class_type)
    return entry is not None and entry.output_node


def _step(node: Node, runs: bool) -> Step:
    feeds = tuple(Feed(*link) for link in node.links())
    values = {name: value for name, value in node.inputs.items() if not is_link(value)}
    return Step(node.id, node.class_type, node.title or node.class_type, runs, feeds, values)


Named: TypeAlias = dict[tuple[str | None, str], list[str]]


def _models(workflow: Workflow, graph: Graph, registry: Registry, settings: Settings) -> Iterator[Model]:
    said = _said_by_file(workflow)
    named: Named = {}
    for node in graph:
        for folder, name in _names(node, registry.get(node.class_type), said):
            named.setdefault((folder, name), []).append(node.id)
    there = {folder: set(settings.home.names(folder)) for folder, _ in named if folder is not None}
    for (folder, name), nodes in named.items():
        command = None if folder is None else how_to_fetch(folder, name)
        _, url = said.get(name, (None, None))
        yield Model(name, folder, folder is not None and name in there[folder], tuple(nodes), command, url)


def _names(
    node: Node, entry: NodeClass | None, said: Mapping[str, tuple[str | None, str | None]]
) -> Iterator[tuple[str | None, str]]:
    """(folder, name) of the models that a node names: by its class, or by how the value ends."""
    for name, value in node.inputs.items():
        if not isinstance(value, str):
            continue
        spec = entry.inputs.get(name) if entry else None
        if spec is not None and isinstance(spec.choices, Listing):
            if spec.choices.folder.startswith(MODELS) and value not in spec.choices.also:
                yield canonical_kind(spec.choices.folder.removeprefix(MODELS)), value
        elif entry is None and Path(value[-20:]).suffix.lower() in WEIGHT_SUFFIXES:
            yield said.get(value, (None, None))[0], value


def _said_by_file(workflow: Workflow) -> dict[str, tuple[str | None, str | None]]:
    """Folder and address of models by name, as the UI form may say in `properties.models` of its nodes."""
    ui = mapping(workflow.extra_pnginfo.get("workflow"))
    graphs: Sequence[Mapping[str, Any]] = [ui, *mappings(mapping(ui.get("definitions")).get("subgraphs"))]
    found: dict[str, tuple[str | None, str | None]] = {}
    for graph in graphs:
        for node in mappings(graph.get("nodes")):
            for model in mappings(mapping(node.get("properties")).get("models")):
                folder, url = text(model.get("directory")), text(model.get("url"))
                kind = canonical_kind(folder)
                found[text(model.get("name"))] = (kind if kind in MODEL_KINDS else None, url or None)
    return found
