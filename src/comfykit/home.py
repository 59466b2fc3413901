"""The home directory: where models, inputs and outputs lie.

A home is laid out as ComfyUI lays out its base directory, so that an existing ComfyUI folder *is* a
home: `models/<kind>/`, `custom_nodes/`, `input/`, `output/`, `temp/`, `user/`. Models may also lie in
the folders that the home's `extra_model_paths.yaml` names; they are read from there, never written.
Last come the models inside the package, the demo's, which are there under their names in every home.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from comfykit.errors import ModelFileError, UsageError

MODEL_KINDS = (
    "audio_encoders",
    "checkpoints",
    "clip_vision",
    "configs",
    "controlnet",
    "diffusers",
    "diffusion_models",
    "embeddings",
    "gligen",
    "hypernetworks",
    "latent_upscale_models",
    "loras",
    "model_patches",
    "photomaker",
    "style_models",
    "text_encoders",
    "upscale_models",
    "vae",
    "vae_approx",
)

# Folders that ComfyUI reads under a newer name as well.
KIND_ALIASES: Mapping[str, str] = {
    "clip": "text_encoders",
    "unet": "diffusion_models",
    "t2i_adapter": "controlnet",
}

# What marks the folder of a model that is a folder: those of diffusers.
FOLDERS_WITH: Mapping[str, str] = {"diffusers": "model_index.json"}

# Models that come with the package, by kind; never written.
PACKAGED = Path(__file__).parent / "assets" / "models"

WEIGHT_SUFFIXES = frozenset({".safetensors", ".sft", ".ckpt", ".pt", ".pt2", ".bin", ".pth", ".pkl"})


def canonical_kind(kind: str) -> str:
    """The present name of a model folder: `clip` is `text_encoders`, `unet` is `diffusion_models`."""
    return KIND_ALIASES.get(kind, kind)


@dataclass(frozen=True, slots=True)
class Home:
    """A home directory and the further folders its models are read from.

    `extra` maps a kind to folders outside the home, in the order they are searched. `packaged` is the
    folder of models that come with the package, searched last; None for a home without them.
    """

    root: Path
    extra: Mapping[str, tuple[Path, ...]] = field(default_factory=dict)
    packaged: Path | None = None

    @property
    def models(self) -> Path:
        """The only folder that comfykit writes models to."""
        return self.root / "models"

    def own_folders(self, kind: str) -> tuple[Path, ...]:
        """The user's folders for models of a kind, in the order they are searched; they need not exist."""
        kind = canonical_kind(kind)
        names = [kind, *(old for old, new in KIND_ALIASES.items() if new == kind)]
        own = tuple(self.models / name for name in names)
        return own + tuple(self.extra.get(kind, ()))

    def folders(self, kind: str) -> tuple[Path, ...]:
        """Every folder that is searched for models of a kind: the user's, then the package's."""
        packaged = () if self.packaged is None else (self.packaged / canonical_kind(kind),)
        return self.own_folders(kind) + packaged

    def names(self, kind: str) -> list[str]:
        """Names of the models of a kind, relative to its folder, `/` between parts, sorted.

        They are weights files; of the kind `diffusers` they are folders.
        """
        mark = FOLDERS_WITH.get(canonical_kind(kind))
        found: set[str] = set()
        for folder in self.folders(kind):
            for path in files_below(folder):
                if path.name == mark and path.parent != folder:
                    found.add(path.parent.relative_to(folder).as_posix())
                elif mark is None and path.suffix.lower() in WEIGHT_SUFFIXES:
                    found.add(path.relative_to(folder).as_posix())
        return sorted(found, key=lambda name: (name.casefold(), name))

    def find(self, kind: str, name: str) -> Path:
        """Path of the model `name` of a kind: of its file, or of its folder where models are folders.

        Raises `ModelFileError` that names the folders looked in and the nearest names.
        """
        relative, mark = Path(name), FOLDERS_WITH.get(canonical_kind(kind))
        if relative.is_absolute() or ".." in relative.parts:
            raise ModelFileError(
                f"{name!r} is not the name of a file below models/{canonical_kind(kind)}",
                hint="name models by their path below their folder, without '..'",
                kind=kind,
                name=name,
            )
        for folder in self.folders(kind):
            path = folder / relative
            if (path if mark is None else path / mark).is_file():
                return path
        raise self.missing(kind, name)

    def missing(self, kind: str, name: str) -> ModelFileError:
        """The error that says that `name` lies in none of the folders of its kind.

        It names those that a user could put the file into.
        """
        near = nearest(name, self.names(kind))
        own = self.own_folders(kind)
        looked = [str(folder) for folder in own if folder.is_dir()] or [str(own[0])]
        hint = f"did you mean {' or '.join(near)}?" if near else None
        return ModelFileError(
            f"no {name!r} in {' or '.join(looked)}",
            hint=hint,
            kind=canonical_kind(kind),
            name=name,
            looked=looked,
            near=near,
        )


def expand(path: str) -> Path:
    """A path with `~` and `~user` resolved; raises `UsageError` where there is no such user."""
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise UsageError(
            f"{path}: the home folder of the user is not known", hint="write the path without '~'"
        ) from error


def nearest(name: str, names: Sequence[str]) -> list[str]:
    """Up to three of `names` that `name` may have been meant as; suffixes, which all share, do not count."""
    stems: dict[str, str] = {}
    for known in names:
        stems.setdefault(Path(known).with_suffix("").as_posix().casefold(), known)
    wanted = Path(name).with_suffix("").as_posix().casefold() if Path(name).name else name
    return [stems[stem] for stem in difflib.get_close_matches(wanted, stems, n=3, cutoff=0.6)]


def open_home(root: Path) -> Home:
    """The home at `root`, with what its `extra_model_paths.yaml` and the package add; nothing is created."""
    root = Path(os.path.abspath(root))  # noqa: PTH100  (resolve() would follow links: a home may be one)
    listing = root / "extra_model_paths.yaml"
    return Home(root, _read_extra_paths(listing) if listing.is_file() else {}, PACKAGED)


def files_below(folder: Path) -> Iterator[Path]:
    """Every file below a folder, outside hidden folders.

    Links are followed, as models often live on another disk: a folder that two links lead to is listed
    under both, one that leads back up is not entered, and a link to nothing is no file.
    """
    yield from _walk(folder, frozenset())


def _walk(folder: Path, above: frozenset[str]) -> Iterator[Path]:
    real = os.path.realpath(folder)
    if real in above:
        return
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:  # not there, or not ours to read
        return
    for entry in entries:
        if _leads_to(entry.is_file):
            yield folder / entry.name
        elif _leads_to(entry.is_dir) and not entry.name.startswith("."):
            yield from _walk(folder / entry.name, above | {real})


def _leads_to(question: Callable[[], bool]) -> bool:
    """Ask an entry; a link into a folder that is not ours to enter leads nowhere."""
    try:
        return question()
    except OSError:
        return False


def _read_extra_paths(path: Path) -> dict[str, tuple[Path, ...]]:
    """Read ComfyUI's `extra_model_paths.yaml`.

    Each section is a mapping of kind to one path or several, one on a line; `base_path` is put before
    those that are relative, and is itself relative to the file.
    """
    import yaml

    try:
        sections = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}", hint="make it readable or move it away") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: not YAML ({error})", hint="mend the file or move it away") from error
    if not isinstance(sections, dict):
        raise UsageError(f"{path}: expected sections of 'kind: path', found {type(sections).__name__}")
    found: dict[str, list[Path]] = {}
    for name, section in sections.items():
        if section is None:
            continue
        if not isinstance(section, dict):
            raise UsageError(f"{path}: section {name!r} should map kinds to paths")
        base = path.parent / expand(str(section.get("base_path") or ""))
        for kind, places in section.items():
            if kind in ("base_path", "is_default") or places is None:
                continue
            if not isinstance(places, str):
                raise UsageError(
                    f"{path}: {kind!r} in section {name!r} should be a path, found {places!r}",
                    hint="several paths go one on a line, under 'kind: |'",
                )
            lines = (place.strip() for place in places.splitlines())
            found.setdefault(canonical_kind(str(kind)), []).extend(
                base / expand(line) for line in lines if line
            )
    return {kind: tuple(places) for kind, places in found.items()}
