"""The weights files in the model folders: what they are, whether they are whole, and what was left half."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from comfykit.errors import ModelFileError
from comfykit.home import Home, files_below
from comfykit.weights.header import SafetensorsHeader, read_header
from comfykit.weights.magic import sniff

# A header is read in a millisecond from a local disk; a collection on a slow one must not hold the doctor up.
SECONDS = 1.2
STALE_SECONDS = 24 * 60 * 60

_SAFETENSORS = {".safetensors", ".sft"}
_PICKLES = {".ckpt", ".pt", ".pth", ".bin", ".pkl"}
_LORA = (".lora_down.", ".lora_up.", ".lora_A.", ".lora_B.", ".hada_w1_a", ".lokr_w1", ".dora_scale")
_CHECKPOINT = ("model.diffusion_model.", "first_stage_model.", "cond_stage_model.", "conditioner.")

# Whether a file of this size was read whole is known to the index; hashes are never computed here.
Known = Callable[[Path], str | None]


@dataclass(frozen=True, slots=True)
class Broken:
    """A weights file that cannot be loaded, and what is wrong with it.

    `kind` is "cut", "page", "denied" (the disk would not give its bytes, which may be sound) or "corrupt".
    """

    path: Path
    problem: str
    kind: str = "corrupt"


@dataclass(frozen=True, slots=True)
class Misplaced:
    """A file that is something else than its place or its name says: `found` instead of `expected`."""

    path: Path
    found: str
    expected: str


@dataclass(frozen=True, slots=True)
class Leftover:
    """A partial download that nobody has touched for a day; `size` in bytes."""

    path: Path
    size: int


@dataclass(frozen=True, slots=True)
class Models:
    """What lies in the model folders.

    `read` counts the safetensors files whose header was read, `unread` those that time did not allow.
    `pickles` are files that could run code when they are loaded, `duplicates` files of the same bytes.
    """

    read: int = 0
    unread: int = 0
    broken: tuple[Broken, ...] = ()
    misplaced: tuple[Misplaced, ...] = ()
    leftovers: tuple[Leftover, ...] = ()
    pickles: tuple[Path, ...] = ()
    duplicates: tuple[tuple[Path, ...], ...] = ()


def look(home: Home, seconds: float = SECONDS, known: Known = lambda path: None) -> Models:
    """Look at a home's models, in the folders of `extra_model_paths.yaml` too.

    `known` gives the hash of a file that was read before. The package's own models are not counted: nobody
    can mend them but by installing it again.
    """
    deadline = time.monotonic() + seconds
    read = unread = 0
    broken: list[Broken] = []
    misplaced: list[Misplaced] = []
    leftovers: list[Leftover] = []
    pickles: list[Path] = []
    by_hash: dict[str, list[Path]] = {}
    for kind, path in _files(home):
        suffix = path.suffix.lower()
        if suffix == ".part":
            leftovers.extend(_stale(path))
        elif suffix in _SAFETENSORS | _PICKLES:
            if time.monotonic() > deadline:
                unread += 1
                continue
            read += suffix in _SAFETENSORS
            found = _look_at(path, kind)
            if isinstance(found, Broken):
                broken.append(found)
            elif isinstance(found, Misplaced):
                misplaced.append(found)
            elif suffix in _PICKLES:
                pickles.append(path)
            if sha256 := known(path):
                by_hash.setdefault(sha256, []).append(path)
    misplaced.extend(_folders(home))
    duplicates = tuple(tuple(paths) for paths in by_hash.values() if len(paths) > 1)
    return Models(read, unread, tuple(broken), tuple(misplaced), tuple(leftovers), tuple(pickles), duplicates)


def _files(home: Home) -> Iterator[tuple[str, Path]]:
    """Every file in a model folder with its kind, once, however many folders lead to it."""
    extra = [
        (kind, place) for kind, places in home.extra.items() if kind != "custom_nodes" for place in places
    ]
    own = [(folder.name, folder) for folder in _subfolders(home.models)]
    seen: set[Path] = set()
    for kind, folder in (*own, *extra, ("", home.models)):
        for path in files_below(folder):
            real = path.resolve()
            if real not in seen:
                seen.add(real)
                yield kind, path


def _subfolders(folder: Path) -> list[Path]:
    try:
        return sorted(place for place in folder.iterdir() if place.is_dir())
    except OSError:
        return []


def _look_at(path: Path, kind: str) -> Broken | Misplaced | None:  # noqa: PLR0911
    """What is wrong with one file, if anything is."""
    try:
        magic = sniff(path)
        if magic in ("html", "json", "lfs"):
            what = {"html": "an HTML page", "json": "a JSON text", "lfs": "a Git LFS pointer"}[magic]
            return Broken(path, f"it is {what}, not weights", "page")
        if magic == "empty":
            return Broken(path, "it is empty", "cut")
        if path.suffix.lower() in _PICKLES:
            named = {"safetensors": "a safetensors file", "gguf": "a GGUF file"}.get(magic)
            return Misplaced(path, named, f"a file whose name ends in {path.suffix}") if named else None
        if magic in ("zip", "pickle", "gguf"):
            named = "a GGUF file" if magic == "gguf" else "a PyTorch file"
            return Misplaced(path, named, "a safetensors file, as its name says")
        return _misplaced(path, kind, read_header(path))
    except ModelFileError as error:
        problem = str(error).removeprefix(f"{path}: ")
        if isinstance(error.__cause__, OSError):
            return Broken(path, problem, "denied")
        return Broken(path, problem, "cut" if "cut off" in problem else "corrupt")
    except OSError as error:
        return Broken(path, str(error.strerror), "denied")


def _misplaced(path: Path, kind: str, header: SafetensorsHeader) -> Misplaced | None:
    """A LoRA among checkpoints, or a checkpoint among LoRAs."""
    names = header.tensors
    is_lora = any(part in name for name in names for part in _LORA)
    is_checkpoint = not is_lora and any(name.startswith(_CHECKPOINT) for name in names)
    if is_lora and kind in ("checkpoints", "diffusion_models", "vae", "text_encoders"):
        return Misplaced(path, "a LoRA", f"a file of {kind}")
    if is_checkpoint and kind == "loras":
        return Misplaced(path, "a checkpoint", "a LoRA")
    return None


def _folders(home: Home) -> Iterator[Misplaced]:
    """Models in diffusers' layout where single files are expected."""
    for kind in ("checkpoints", "diffusion_models", "vae"):
        for folder in _subfolders(home.models / kind):
            if (folder / "model_index.json").is_file():
                yield Misplaced(folder, "a model in diffusers' layout", f"a file of {kind}")


def _stale(path: Path) -> Iterator[Leftover]:
    try:
        found = path.stat()
    except OSError:  # its download has just come to an end, or it is not ours to look at
        return
    if time.time() - found.st_mtime > STALE_SECONDS:
        yield Leftover(path, found.st_size)
