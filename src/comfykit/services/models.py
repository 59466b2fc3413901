"""The models that are installed: which there are, which one a word means, and taking some away."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from comfykit.errors import ModelFileError, UsageError
from comfykit.fetch.catalog import how_to_fetch
from comfykit.fetch.index import HashIndex
from comfykit.fetch.provenance import Provenance, forget_provenance, provenances
from comfykit.home import MODEL_KINDS, WEIGHT_SUFFIXES, Home, canonical_kind, files_below

_SUFFIXES = WEIGHT_SUFFIXES | {".gguf"}


@dataclass(frozen=True, slots=True)
class Model:
    """One file of a model. `name` is its path below a folder of `kind`, as workflows write it.

    `target` is its path below the home's `models/`, None for a file that comfykit does not own: one in
    a folder of `extra_model_paths.yaml`, or in the package (`packaged`). `sha256` is None where nobody
    has hashed the file since it changed; `provenance` is what the file was when it was fetched.
    """

    kind: str
    name: str
    path: Path
    size: int
    target: PurePosixPath | None
    packaged: bool
    sha256: str | None
    provenance: Provenance | None

    @property
    def title(self) -> str:
        """Kind and name: what tells it from all other models."""
        return f"{self.kind}/{self.name}"

    @property
    def source(self) -> str | None:
        """The address that the file came from, if it still is what came from there."""
        kept = self.provenance
        return kept.urls[0] if kept and kept.urls and kept.fits(self.size, self.sha256) else None


def list_models(home: Home, index: HashIndex, *, kind: str | None = None) -> list[Model]:
    """Every model of a home, or those of a kind; the one that a workflow gets comes first of its name.

    Raises `UsageError` for a kind that there is no folder for.
    """
    kinds = _kinds(home)
    if kind is not None and canonical_kind(kind) not in kinds:
        near = difflib.get_close_matches(kind, kinds, n=1, cutoff=0.6)
        hint = f"did you mean {near[0]}?" if near else f"kinds are {', '.join(kinds)}"
        raise UsageError(f"{kind!r} is no kind of model", hint=hint)
    known = provenances(home)
    chosen = kinds if kind is None else [canonical_kind(kind)]
    return [model for each in chosen for model in _of_kind(home, each, index, known)]


def find_models(models: Sequence[Model], wanted: Sequence[str]) -> list[Model]:
    """The models that words mean: KIND/NAME, models/KIND/NAME, NAME, a file name, or a glob of one.

    Raises `ModelFileError` that names the nearest for a word that means none.
    """
    found: dict[Path, Model] = {}
    for word in wanted:
        matching = [model for model in models if _means(word, model)]
        if not matching:
            raise _none(word, models)
        found.update((model.path, model) for model in matching)
    return list(found.values())


def remove_models(home: Home, models: Sequence[Model]) -> int:
    """Delete files of the home's `models/`; bytes of the files that are gone. A link goes, not its file.

    Raises `UsageError`, before anything is deleted, for a model that is not in that folder.
    """
    targets: list[PurePosixPath] = []
    for model in models:
        if model.target is None:
            whose = "is part of comfykit" if model.packaged else f"lies outside of {home.models}"
            raise UsageError(f"{model.path} {whose} and is not removed", hint="only the home's models are")
        targets.append(model.target)
    freed = 0
    for model in models:
        status = model.path.lstat()
        model.path.unlink()
        freed += status.st_size if status.st_nlink == 1 else 0
    forget_provenance(home, targets={str(target) for target in targets})
    return freed


def _kinds(home: Home) -> list[str]:
    """Kinds that ComfyUI knows, and those that the home has folders for."""
    folders = [path.name for path in home.models.iterdir() if path.is_dir()] if home.models.is_dir() else []
    own = {canonical_kind(name) for name in folders if not name.startswith(".")}
    return sorted({*MODEL_KINDS, *own, *home.extra})


def _of_kind(home: Home, kind: str, index: HashIndex, known: dict[str, Provenance]) -> Iterator[Model]:
    found = []
    for folder in home.folders(kind):
        packaged = home.packaged is not None and folder.is_relative_to(home.packaged)
        owned = folder.is_relative_to(home.models)
        for path in files_below(folder):
            target = PurePosixPath(path.relative_to(home.models).as_posix()) if owned else None
            provenance = known.get(str(target)) if target else None
            if path.name.startswith(".") or not (provenance or path.suffix.lower() in _SUFFIXES):
                continue
            size, name = path.stat().st_size, path.relative_to(folder).as_posix()
            found.append(Model(kind, name, path, size, target, packaged, index.known(path), provenance))
    yield from sorted(found, key=lambda model: (model.name.casefold(), model.name))


def _means(word: str, model: Model) -> bool:
    title = word.removeprefix("models/")
    names = (model.title, model.name, Path(model.name).name, f"models/{model.target}")
    return word in names or title in names or any(fnmatchcase(name, title) for name in names)


def _none(word: str, models: Sequence[Model]) -> ModelFileError:
    """The error for a word that means no model, with the command that fetches one of the name."""
    kind, _, name = word.removeprefix("models/").partition("/")
    fetch = how_to_fetch(kind, name) if name else None
    names = {name: model.title for model in models for name in (model.title, Path(model.name).name)}
    near = [names[name] for name in difflib.get_close_matches(word, names, n=3, cutoff=0.6)]
    hints = [f"to fetch it: {fetch}"] if fetch else []
    if near:
        hints.append(f"did you mean {' or '.join(dict.fromkeys(near))}?")
    return ModelFileError(f"no model {word!r} is installed", hint="; ".join(hints) or None, name=word)
