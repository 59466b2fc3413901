"""Imports packs as ComfyUI does, each guarded: what one of them breaks is told, and the others load.

A folder's `__init__.py`, or a single file, is imported as a module named by its path. It then offers
`NODE_CLASS_MAPPINGS` (and `NODE_DISPLAY_NAME_MAPPINGS`, `WEB_DIRECTORY`), or `comfy_entrypoint`, which
gives a `ComfyExtension` with a list of classes. What the module finds while it is imported is what packs
rely on: the home on `sys.path`, so that `custom_nodes.OTHER` can be imported, `__main__.__file__` in the
home, and no arguments of ours in `sys.argv`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import importlib.util
import inspect
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from comfykit.compat import guard, modules, running, torchvision_ops
from comfykit.compat.asynchronous import result_of
from comfykit.compat.causes import Cause, cause_of
from comfykit.compat.v1 import node_class_v1
from comfykit.compat.v3 import is_v3, node_class_v3
from comfykit.engine.schema import NodeClass
from comfykit.packs.places import Place, enabled_packs
from comfykit.settings import Settings

PRESTARTUP = "prestartup_script.py"


@dataclass(frozen=True, slots=True)
class LoadedPack:
    """What came of a pack: its classes, those of them that cannot be used, and why all of it cannot.

    `kinds` are the pack's own classes by name.
    """

    name: str
    path: Path
    classes: tuple[NodeClass, ...] = ()
    problems: Mapping[str, Cause] = field(default_factory=dict)
    failure: Cause | None = None
    web: Path | None = None
    seconds: float = 0.0
    kinds: Mapping[str, Any] = field(default_factory=dict)

    def refreshed(self, name: str) -> NodeClass | None:
        """A class as it describes itself now: its choices may be files that came since."""
        known = next((entry for entry in self.classes if entry.name == name), None)
        if known is None:
            return None
        try:
            return node_class(name, self.kinds[name], title=known.title, module=known.module)
        except Exception:  # noqa: BLE001  (a stranger's code, which worked when it was loaded)
            return known


@dataclass(frozen=True, slots=True)
class LoadReport:
    """Packs in the order in which they were loaded."""

    packs: tuple[LoadedPack, ...] = ()

    @property
    def registry(self) -> list[NodeClass]:
        """Their classes; of two with one name the later counts."""
        return [entry for pack in self.packs for entry in pack.classes]

    @property
    def failures(self) -> list[LoadedPack]:
        """Packs that could not be imported."""
        return [pack for pack in self.packs if pack.failure is not None]


_loaded: dict[Path, LoadedPack] = {}


def load_packs(settings: Settings, names: Iterable[str], *, scripts: Iterable[str] = ()) -> LoadReport:
    """Load packs of a home by name, in load order; those that were loaded before are not loaded again.

    `scripts` names the packs whose `prestartup_script.py` may run.
    """
    wanted, allowed = set(names), set(scripts)
    places = [place for place in enabled_packs(settings.home) if place.name in wanted]
    return LoadReport(tuple(load_pack(place, settings, script=place.name in allowed) for place in places))


def load_pack(place: Place, settings: Settings, *, script: bool = False) -> LoadedPack:
    """Load one pack; never raises for what the pack does."""
    if place.path not in _loaded:
        _prepare(place, settings)
        began = time.monotonic()
        with _as_in_comfyui(settings.home.root):
            found = _load(place, script=script)
        _loaded[place.path] = dataclasses.replace(found, seconds=time.monotonic() - began)
    return _loaded[place.path]


def forget() -> None:
    """Load packs anew when they are asked for again."""
    _loaded.clear()


def node_class(name: str, kind: Any, *, title: str, module: str) -> NodeClass:
    """The node class of a pack's class of either form; raises what that raises."""
    if is_v3(kind):
        return node_class_v3(name, kind, title=title, module=module)
    return node_class_v1(name, kind, title=title, module=module)


def _prepare(place: Place, settings: Settings) -> None:
    modules.install(settings.home.root)
    guard.install()
    torchvision_ops.install()
    running.use_settings(settings)
    # ComfyUI's folders are there before any pack; packs list them when they describe their classes.
    for folder in (settings.home.models, settings.input_dir, settings.output_dir, settings.temp_dir):
        with contextlib.suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
    modules.pack_folders[str(place.path)] = place.name
    if str(settings.home.root) not in sys.path:
        sys.path.append(str(settings.home.root))


def _load(place: Place, *, script: bool) -> LoadedPack:
    try:
        prestartup = place.path / PRESTARTUP
        if script and prestartup.is_file():
            _execute(f"{_module_name(place.path)}_prestartup", prestartup)
        module = _execute(_module_name(place.path), place.path)
        classes, titles = _offered(module)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001  (a stranger's code; SystemExit too)
        return LoadedPack(place.name, place.path, failure=_cause(error, place, script=script))
    entries: list[NodeClass] = []
    problems: dict[str, Cause] = {}
    for name, kind in classes.items():
        title, python_module = str(titles.get(name) or ""), f"custom_nodes.{place.name}"
        with contextlib.suppress(Exception):  # classes with slots, or no classes at all
            kind.RELATIVE_PYTHON_MODULE = python_module
        try:
            entries.append(node_class(name, kind, title=title, module=python_module))
        except Exception as error:  # noqa: BLE001  (a stranger's code)
            problems[name] = _cause(error, place, script=script)
    _tell_host(place, classes, titles, web := _web(module, place))
    return LoadedPack(place.name, place.path, tuple(entries), problems, web=web, kinds=classes)


def _cause(error: BaseException, place: Place, *, script: bool) -> Cause:
    """Why a pack or a class of it cannot be used; a script that did not run may be the reason."""
    cause = cause_of(error, place.path)
    if script or cause.hint or cause.kind != "error" or not (place.path / PRESTARTUP).is_file():
        return cause
    hint = f"its {PRESTARTUP} did not run: comfykit install-nodes ... --run-scripts lets it"
    return dataclasses.replace(cause, hint=hint)


def _module_name(path: Path) -> str:
    """The name that ComfyUI gives a pack's module; a dot in it would mean a package around it."""
    return str(path.with_suffix("") if path.suffix == ".py" else path).replace(".", "_x_")


def _execute(name: str, path: Path) -> ModuleType:
    file = path / "__init__.py" if path.is_dir() else path
    if not file.is_file():
        raise FileNotFoundError(f"it has no {file.name}, which a pack's folder needs")
    folders = [str(path)] if path.is_dir() else None
    spec = importlib.util.spec_from_file_location(name, file, submodule_search_locations=folders)
    if spec is None or spec.loader is None:
        raise ImportError(f"{file} is no Python source")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        sys.modules.pop(name, None)
        raise
    return module


def _offered(module: ModuleType) -> tuple[dict[str, Any], Mapping[str, Any]]:
    """The classes of a pack by name, and their titles."""
    mappings = getattr(module, "NODE_CLASS_MAPPINGS", None)
    if mappings is not None:
        titles = getattr(module, "NODE_DISPLAY_NAME_MAPPINGS", None)
        return (
            {str(name): kind for name, kind in dict(mappings).items()},
            titles if isinstance(titles, Mapping) else {},
        )
    entrypoint = getattr(module, "comfy_entrypoint", None)
    if entrypoint is None:
        if getattr(module, "WEB_DIRECTORY", None) is not None:
            return {}, {}  # for a front end alone
        raise ImportError("it offers no NODE_CLASS_MAPPINGS and no comfy_entrypoint")
    extension = result_of(entrypoint())
    if inspect.ismethod(getattr(extension, "on_load", None)):
        result_of(extension.on_load())
    found, titles = {}, {}
    for kind in result_of(extension.get_node_list()):
        schema = kind.GET_SCHEMA()
        found[str(schema.node_id)], titles[str(schema.node_id)] = kind, schema.display_name
    return found, titles


def _web(module: ModuleType, place: Place) -> Path | None:
    folder = getattr(module, "WEB_DIRECTORY", None)
    web = place.path / folder if isinstance(folder, str) and place.path.is_dir() else None
    return web.resolve() if web is not None and web.is_dir() else None


def _tell_host(place: Place, classes: Mapping[str, Any], titles: Mapping[str, Any], web: Path | None) -> None:
    """Packs find each other's classes in the module `nodes`."""
    nodes = importlib.import_module("nodes")
    nodes.NODE_CLASS_MAPPINGS.update(classes)
    nodes.NODE_DISPLAY_NAME_MAPPINGS.update(titles)
    if web is not None:
        nodes.EXTENSION_WEB_DIRS[place.name] = str(web)


@contextlib.contextmanager
def _as_in_comfyui(root: Path) -> Iterator[None]:
    """Within, the process looks as ComfyUI's does when it imports packs."""
    main, arguments = sys.modules["__main__"], sys.argv
    nothing = object()
    file = getattr(main, "__file__", nothing)
    main.__file__ = str(root / "main.py")
    sys.argv = [str(root / "main.py")]
    try:
        with contextlib.redirect_stdout(sys.stderr):  # what packs greet with is no data
            yield
    finally:
        sys.argv = arguments
        if file is nothing:
            del main.__file__
        else:
            main.__file__ = file  # type: ignore[assignment]
