"""The built-in classes, and those of the home's packs, which are imported when a class of theirs is needed.

A pack's class goes before a built-in one of the same name only where ours was made after the pack's
(`OF_PACKS`); ComfyUI's own classes cannot be replaced.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from comfykit.compat import pack_names, torchvision_ops
from comfykit.compat.causes import Cause
from comfykit.compat.loader import LoadedPack, load_pack
from comfykit.engine.graph import Graph
from comfykit.engine.registry import Registry
from comfykit.engine.schema import Missing, NodeClass
from comfykit.events import PackStep, Reporter, Warned, silent
from comfykit.nodes.builtin import OF_PACKS, builtin_registry
from comfykit.packs.index import ClassIndex, class_index, remember
from comfykit.packs.installed import scripts_allowed
from comfykit.packs.known import known_pack
from comfykit.packs.name_adders import packs_that_add_names
from comfykit.packs.places import Place
from comfykit.packs.probing import LOOKING, probe_pack
from comfykit.settings import Settings
from comfykit.workflow.wiring import FRONT_END_ONLY


class PackRegistry(Registry):
    """Looks up a class that it does not have in the packs of a home.

    `scripts` names the packs whose `prestartup_script.py` may run, by default those that a person allowed
    when they were installed. A pack whose source does not tell what it
    offers is imported in a process of its own first, and only when a class was found nowhere else.
    """

    def __init__(
        self,
        settings: Settings,
        reporter: Reporter = silent,
        *,
        builtin: Registry | None = None,
        scripts: Callable[[], Iterable[str]] | None = None,
    ) -> None:
        self._own: set[str] = set()
        super().__init__(builtin_registry() if builtin is None else builtin)
        self._own -= OF_PACKS.keys()
        self._settings = settings
        self._report = reporter
        self._scripts = scripts or (lambda: scripts_allowed(settings.home))
        self._index: ClassIndex | None = None
        self._unknown: set[str] = set()
        self._packs: dict[str, LoadedPack] = {}

    @property
    def loaded(self) -> list[LoadedPack]:
        """The packs that were imported for this registry."""
        return list(self._packs.values())

    def add(self, entry: NodeClass) -> None:
        """Add a class that no pack replaces."""
        super().add(entry)
        self._own.add(entry.name)

    def prepare(self, names: Iterable[str]) -> None:
        """Import the packs that classes come from, in load order and not in that of the workflow.

        Packs may have come since the last workflow, and what classes offer as choices may have changed.
        """
        wanted = {name for name in names if name not in self._own}
        if not wanted:
            return
        self._index = None
        self._unknown.clear()
        for pack in self.loaded:
            for entry in filter(None, map(pack.refreshed, wanted)):
                Registry.add(self, entry)
        providers = {pack for name in wanted for pack in self.index.providers(name)[-1:]}
        for place in self.index.places.values():
            if place.name in providers:
                self._load(place)
        for name in wanted:
            self.get(name)

    def prepare_graph(self, graph: Graph) -> None:
        """Import also the packs that add the samplers and schedulers that the workflow names."""
        super().prepare_graph(graph)
        wanted = pack_names.unknown_names(graph, self)
        for name in wanted:
            for place in packs_that_add_names(self.index.places.values(), name):
                if pack_names.is_known(name):
                    break
                self._load(place)
        if wanted:
            super().prepare_graph(graph)  # what packs' own classes offer may have grown

    def load_all(self) -> list[LoadedPack]:
        """Import every pack of the home."""
        for place in self.index.places.values():
            self._load(place)
        return self.loaded

    @property
    def index(self) -> ClassIndex:
        """Which pack offers which class."""
        if self._index is None:
            self._index = class_index(self._settings.home)
        return self._index

    def get(self, name: str) -> NodeClass | None:
        """The class of that name, for which its pack is imported if it was not; None where there is none."""
        found = super().get(name)
        if found is not None or not name or name in self._unknown:
            return found
        for pack in reversed(self.index.providers(name)):
            self._load(self.index.places[pack])
        if super().get(name) is None and name not in FRONT_END_ONLY:
            self._ask_unclear(name)
        if super().get(name) is None:
            self._unknown.add(name)
        return super().get(name)

    def __getitem__(self, name: str) -> NodeClass:
        found = self.get(name)
        if found is None:
            raise KeyError(name)
        return found

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self.get(name) is not None

    def explain(self, name: str) -> Missing | None:
        """Which pack would bring a class: one that is installed and broken, or one that is known."""
        for pack in reversed(self.index.providers(name)):
            loaded = self._packs.get(pack)
            cause = loaded and (loaded.failure or loaded.problems.get(name))
            if cause:
                return Missing(
                    f"{name!r} is of the pack {pack}, which {_said(cause, loaded)}", _hint(cause, pack)
                )
            return Missing(
                f"the pack {pack} names {name!r} in its source and did not offer it",
                f"comfykit packs check {pack} shows what it offers",
            )
        known = known_pack(name)
        if known is not None:
            return Missing(
                f"there is no node class {name!r}; the pack {known} has it",
                f"to install it: comfykit install-nodes {known}",
            )
        broken = [pack for pack in self.index.unclear() if self.index.entries[pack].failure]
        if broken:
            return Missing(
                f"there is no node class {name!r}; {' and '.join(broken)} may have it and cannot be imported",
                f"comfykit packs check {broken[0]} shows why",
            )
        return None

    def _load(self, place: Place) -> None:
        if place.name in self._packs:
            return
        loaded = load_pack(place, self._settings, script=place.name in self._scripts())
        self._packs[place.name] = loaded
        for warned in torchvision_ops.take_warnings():
            self._report(warned)
        for entry in loaded.classes:
            if entry.name not in self._own:
                Registry.add(self, entry)
                self._unknown.discard(entry.name)
        if pack_names.take_names():
            for entry in list(self):
                Registry.add(self, pack_names.with_names(entry))
        if loaded.failure is not None:
            self._report(
                Warned(
                    f"the pack {place.name} was left out: {_said(loaded.failure, loaded)}",
                    _hint(loaded.failure, place.name),
                )
            )

    def _ask_unclear(self, name: str) -> None:
        """Import packs that may have a class in a process of their own, until one has it.

        Each takes seconds; the pack that is known for the class comes first.
        """
        known = (known_pack(name) or "").rpartition("/")[2]
        for pack in sorted(self.index.unclear(), key=lambda one: one != known):
            place = self.index.places[pack]
            if pack in self._packs or self.index.entries[pack].is_current:
                continue
            self._report(PackStep(pack, LOOKING))
            remember(self._settings.home, pack, probe_pack(place.path, self._settings.home.root))
            self._index = None
            if name in self.index.entries[pack].classes:
                self._load(place)
                return


def _said(cause: Cause, loaded: LoadedPack | None) -> str:
    at = f" ({cause.place})" if cause.place else ""
    failed = loaded is not None and loaded.failure is cause
    return (
        f"could not be imported: {cause.message}{at}" if failed else f"cannot offer it: {cause.message}{at}"
    )


def _hint(cause: Cause, pack: str) -> str:
    return cause.hint or f"comfykit packs check {pack} shows more"
