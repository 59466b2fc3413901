"""The modules that packs import by ComfyUI's names, served from `compat/host/`.

`import comfy.utils` imports the file `host/comfy/utils.py` as `comfykit.compat.host.comfy.utils`, once,
and puts that same module object under the name `comfy.utils` too. So a host module imports its neighbours
by their names here (`from comfykit.compat.host.comfy import utils`), works and is typed without any of
this, and sees what a pack assigns to `comfy.utils.something`. Its `__name__` is the name here.

What a host module lacks is never silence: an attribute raises `MissingAttribute`, `from comfy.utils import x`
raises `MissingName`, a module that is not there raises `MissingModule`, all with the words of `lacking`,
which name the module, the attribute and the pack whose code asked. Each is counted in `missing`. A host
module that has a `__getattr__` of its own is asked first. A package answers with its submodules without
their having been imported, since in ComfyUI somebody always has imported them before.
"""

from __future__ import annotations

import dis
import importlib
import importlib.util
import os
import sys
from collections import Counter
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any, NamedTuple, TypeVar

HOST = Path(__file__).parent / "host"
PACKAGE = "comfykit.compat.host"
# Packages that are ComfyUI's alone: what is not in them here is missing, whoever asks.
COMFYUI = frozenset(
    {"comfy", "comfy_api", "comfy_api_nodes", "comfy_config", "comfy_execution", "comfy_extras"}
)
_IMPORT_FROM = dis.opmap["IMPORT_FROM"]


class Missing(NamedTuple):
    """A part of ComfyUI's interface that a pack asked for in vain; no `attribute`: a whole module."""

    module: str
    attribute: str
    pack: str

    @property
    def name(self) -> str:
        """The dotted name, such as `comfy.utils.lanczos`."""
        return f"{self.module}.{self.attribute}" if self.attribute else self.module

    def __str__(self) -> str:
        asked = f", which {self.pack} uses" if self.pack else ""
        if not self.attribute:
            return f"comfykit has no module {self.module!r}{asked}"
        return f"comfykit's {self.module!r} has no {self.attribute!r}{asked}"


class MissingAttribute(AttributeError):
    """A host module or object lacks an attribute; `part` is the dotted name of what is missing."""

    part = ""


class MissingName(ImportError):
    """`from module import name` of a name that a host module lacks."""

    part = ""


class MissingModule(ModuleNotFoundError):
    """A module of ComfyUI's that is not among the host modules."""

    part = ""


missing: Counter[Missing] = Counter()
pack_folders: dict[str, str] = {}  # folder or file of a pack that is being or was loaded -> its name
_home: Path | None = None


def lacking(module: str, attribute: str = "", *, frame: FrameType | None = None) -> Missing:
    """Count what is missing, for the pack whose code is running; host objects may call it too."""
    found = Missing(module, attribute, pack_at_work(frame or sys._getframe(1)))
    missing[found] += 1
    return found


def pack_at_work(frame: FrameType | None) -> str:
    """The pack that the innermost frame of a pack's code belongs to; empty if there is none."""
    while frame is not None:
        file = frame.f_code.co_filename
        for folder, name in pack_folders.items():
            if file == folder or file.startswith(f"{folder}{os.sep}"):
                return name
        frame = frame.f_back
    return ""


class HostModule(ModuleType):
    """A module of `host/` as packs see it."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        public = self.__name__.removeprefix(f"{PACKAGE}.")
        if (child := sys.modules.get(f"{public}.{name}")) is not None:  # while modules import in a circle
            return child
        if hasattr(self, "__path__") and is_host_module(f"{public}.{name}"):
            return importlib.import_module(f"{public}.{name}")
        caller = sys._getframe(1)
        if caller.f_globals.get("__name__") == "importlib._bootstrap":  # looks before it imports a submodule
            raise AttributeError(name)
        found = lacking(public, name, frame=caller)
        if caller.f_lasti >= 0 and caller.f_code.co_code[caller.f_lasti] == _IMPORT_FROM:
            raise _named(MissingName(str(found), name=public), found)
        raise _named(MissingAttribute(str(found), name=name, obj=self), found)


Error = TypeVar("Error", MissingAttribute, MissingName, MissingModule)


def _named(error: Error, found: Missing) -> Error:
    error.part = found.name
    return error


def is_host_module(name: str) -> bool:
    """Whether `host/` has a module of that dotted name."""
    parts = name.split(".")
    if not all(part.isidentifier() for part in parts):  # a pack's own module is named by a path
        return False
    place = HOST.joinpath(*parts)
    return (place / "__init__.py").is_file() or place.with_name(f"{place.name}.py").is_file()


class _Loader:
    """Gives the module of `host/` under its public name."""

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module = importlib.import_module(f"{PACKAGE}.{spec.name}")
        spec.loader_state = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        spec = module.__spec__
        module.__spec__ = spec.loader_state if spec is not None else None  # its own, which is true
        module.__class__ = HostModule
        _place(module)


class _Finder:
    """The entry of `sys.meta_path`."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if is_host_module(name):
            package = HOST.joinpath(*name.split(".")).is_dir()
            return ModuleSpec(name, _Loader(), is_package=package)  # type: ignore[arg-type]
        if name.partition(".")[0] not in COMFYUI or _only_looking(sys._getframe(1)):
            return None
        found = lacking(name, frame=sys._getframe(1))
        raise _named(MissingModule(str(found), name=name), found)


def _only_looking(frame: FrameType | None) -> bool:
    """Whether somebody asks `importlib.util.find_spec` if a module is there, which is no import."""
    for _ in range(3):
        if frame is None:
            return False
        if frame.f_globals.get("__name__") == "importlib.util":
            return True
        frame = frame.f_back
    return False


class _BareFinder:
    """The last entry of `sys.meta_path`: `import model_management` is `comfy.model_management` to a pack.

    Packs find the modules of the folder `comfy` by their bare names too, since in ComfyUI it is on
    `sys.path`. Not `utils`, which is another folder there, and the name of many packs' own.
    """

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        frame = sys._getframe(1)
        is_file = name.isidentifier() and (HOST / "comfy" / f"{name}.py").is_file()
        if not is_file or name == "utils" or _only_looking(frame) or not pack_at_work(frame):
            return None
        return ModuleSpec(name, _BareLoader())  # type: ignore[arg-type]


class _BareLoader(_Loader):
    """Gives a module of `comfy` under its bare name."""

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module = importlib.import_module(f"comfy.{spec.name}")
        spec.loader_state = module.__spec__
        return module


_finder, _bare_finder = _Finder(), _BareFinder()


def _place(module: ModuleType) -> None:
    """Have a module's file lie in the home, as in ComfyUI: beside it packs put their web files, say."""
    if _home is not None and module.__file__ is not None and Path(module.__file__).is_relative_to(HOST):
        module.__file__ = str(_home / Path(module.__file__).relative_to(HOST))


def install(home: Path | None = None) -> None:
    """Serve host modules in this process from now on; for packs, their files lie in the home."""
    global _home  # noqa: PLW0603
    _home = home or _home
    if _finder not in sys.meta_path:
        sys.meta_path.insert(0, _finder)
        sys.meta_path.append(_bare_finder)


def remove() -> None:
    """Serve them no more and forget those that were imported by their public names."""
    if _finder in sys.meta_path:
        sys.meta_path.remove(_finder)
        sys.meta_path.remove(_bare_finder)
    for name, module in list(sys.modules.items()):
        if isinstance(module, HostModule) and not name.startswith(PACKAGE):
            del sys.modules[name]
    missing.clear()
    pack_folders.clear()
