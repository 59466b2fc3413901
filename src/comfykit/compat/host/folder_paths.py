"""ComfyUI's `folder_paths`: the folders of the home, and the files that workflows name in them.

The directories are those of the run; a pack may set others. `folder_names_and_paths` is a plain dictionary
that packs change: kind of model to its folders and the suffixes of its files.
"""

from __future__ import annotations

import contextlib
import mimetypes
import os
import time
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

from comfykit.compat import running
from comfykit.compat.places_of_modules import file_in_home
from comfykit.errors import UsageError
from comfykit.home import FOLDERS_WITH, KIND_ALIASES, MODEL_KINDS, WEIGHT_SUFFIXES, Home
from comfykit.nodes import files
from comfykit.nodes.folders import inside, split_kind
from comfykit.settings import Settings

supported_pt_extensions: set[str] = set(WEIGHT_SUFFIXES)

# Of each home; what packs add to one is not in the others.
_tables: dict[str, dict[str, tuple[list[str], set[str]]]] = {}

# Kind -> (names below its folders, time of last change of every folder, when it was listed).
filename_list_cache: dict[str, tuple[list[str], dict[str, float], float]] = {}
extension_mimetypes_cache: dict[str, str] = {"webp": "image", "fbx": "model"}

_OTHER_SUFFIXES: dict[str, set[str]] = {
    "configs": {".yaml"},
    "diffusers": {"folder"},
}


def _directories(settings: Settings) -> dict[str, str]:
    root = settings.home.root
    return {
        "base_path": str(root),
        "models_dir": str(settings.home.models),
        "output_directory": str(settings.output_dir),
        "temp_directory": str(settings.temp_dir),
        "input_directory": str(settings.input_dir),
        "user_directory": str(root / "user"),
    }


def _model_folders(home: Home) -> dict[str, tuple[list[str], set[str]]]:
    table: dict[str, tuple[list[str], set[str]]] = {}
    for kind in MODEL_KINDS:
        # The same set for all kinds, as packs add a suffix to one and expect it in the others.
        suffixes = _OTHER_SUFFIXES.get(kind, supported_pt_extensions)
        own = home.own_folders(kind)
        packaged = [folder for folder in home.folders(kind)[len(own) :] if folder.is_dir()]
        table[kind] = ([str(folder) for folder in (*own, *packaged)], suffixes)
    table["custom_nodes"] = ([str(home.root / "custom_nodes")], set())
    table["classifiers"] = ([str(home.models / "classifiers")], {""})
    return table


def __getattr__(name: str) -> Any:
    settings = running.settings()
    if name == "folder_names_and_paths":
        return _tables.setdefault(str(settings.home.root), _model_folders(settings.home))
    found = _directories(settings)
    return found[name] if name in found else file_in_home("folder_paths", name)


def _table() -> dict[str, tuple[list[str], set[str]]]:
    found: dict[str, tuple[list[str], set[str]]] | None = globals().get("folder_names_and_paths")
    return __getattr__("folder_names_and_paths") if found is None else found


def _directory(name: str) -> str:
    """A directory, made where it is not there, as packs list it without asking."""
    found = str(globals().get(name) or __getattr__(name))
    with contextlib.suppress(OSError):
        Path(found).mkdir(parents=True, exist_ok=True)
    return found


def set_output_directory(output_dir: str) -> None:
    globals()["output_directory"] = output_dir


def set_temp_directory(temp_dir: str) -> None:
    globals()["temp_directory"] = temp_dir


def set_input_directory(input_dir: str) -> None:
    globals()["input_directory"] = input_dir


def set_user_directory(user_dir: str) -> None:
    globals()["user_directory"] = user_dir


def get_output_directory() -> str:
    return _directory("output_directory")


def get_temp_directory() -> str:
    return _directory("temp_directory")


def get_input_directory() -> str:
    return _directory("input_directory")


def get_user_directory() -> str:
    return _directory("user_directory")


def get_directory_by_type(type_name: str) -> str | None:
    """The folder that files of type "output", "temp" or "input" lie in; None for another word."""
    return _directory(f"{type_name}_directory") if type_name in ("output", "temp", "input") else None


def get_input_subfolders() -> list[str]:
    """Names of the folders in the input folder, sorted."""
    place = Path(get_input_directory())
    return sorted(entry.name for entry in place.iterdir() if entry.is_dir()) if place.is_dir() else []


def annotated_filepath(name: str) -> tuple[str, str | None]:
    """ "photo.png [output]" is ("photo.png", the output folder); without a folder that is None."""
    bare, kind = split_kind(name)
    return (name, None) if bare == name else (bare, get_directory_by_type(kind))


def get_annotated_filepath(name: str, default_dir: str | None = None) -> str:
    """Path of a file that a workflow names; raises `UsageError` for one that leads out of its folder."""
    bare, folder = annotated_filepath(name)
    folder = folder or default_dir or get_input_directory()
    return os.path.join(folder, inside(bare, folder))  # noqa: PTH118  (packs want a str)


def exists_annotated_filepath(name: str) -> bool:
    """Whether there is such a file."""
    try:
        return Path(get_annotated_filepath(name)).exists()
    except (UsageError, OSError):
        return False


def filter_files_content_types(files: Iterable[str], content_types: Collection[str]) -> list[str]:
    """The files whose names promise one of the types "image", "video", "audio", "model"."""
    found = []
    for name in files:
        suffix = name.rpartition(".")[2]
        kind = extension_mimetypes_cache.get(suffix)
        if kind is None:
            kind = (mimetypes.guess_type(name, strict=False)[0] or "").partition("/")[0]
            if not kind:
                continue
            extension_mimetypes_cache[suffix] = kind
        if kind in content_types:
            found.append(name)
    return found


def filter_files_extensions(files: Iterable[str], extensions: Collection[str]) -> list[str]:
    """The files with one of the suffixes, sorted; no suffixes at all let every file through."""
    return sorted(name for name in files if not extensions or Path(name).suffix.lower() in extensions)


def add_model_folder_path(folder_name: str, full_folder_path: str, is_default: bool = False) -> None:
    """Search a further folder for models of a kind, before the others if it is the default one."""
    folders, _ = _table().setdefault(map_legacy(folder_name), ([], set()))
    if full_folder_path in folders:
        if not is_default or folders[0] == full_folder_path:
            return
        folders.remove(full_folder_path)
    folders.insert(0 if is_default else len(folders), full_folder_path)
    filename_list_cache.pop(map_legacy(folder_name), None)


def map_legacy(folder_name: str) -> str:
    """The present name of a kind: "unet" is "diffusion_models", "clip" is "text_encoders"."""
    return folder_name if folder_name in _table() else KIND_ALIASES.get(folder_name, folder_name)


def get_folder_paths(folder_name: str) -> list[str]:
    """The folders that models of a kind are searched in."""
    return list(_table()[map_legacy(folder_name)][0])


def recursive_search(
    directory: str, excluded_dir_names: Collection[str] | None = None
) -> tuple[list[str], dict[str, float]]:
    """Files below a folder, relative to it, and when each folder changed; links are followed."""
    if not Path(directory).is_dir():
        return [], {}
    excluded = set(excluded_dir_names or ())
    found: list[str] = []
    changed: dict[str, float] = {}
    seen: set[str] = set()
    for place, folders, names in os.walk(directory, followlinks=True):
        seen.add(os.path.realpath(place))
        changed[place] = Path(place).stat().st_mtime
        folders[:] = [
            name
            for name in folders
            if name not in excluded and os.path.realpath(os.path.join(place, name)) not in seen  # noqa: PTH118
        ]
        found += [os.path.relpath(os.path.join(place, name), directory) for name in names]  # noqa: PTH118
    return found, changed


def get_full_path(folder_name: str, filename: str) -> str | None:
    """Path of a model by its name below the folders of its kind; None where there is no such file."""
    kind = map_legacy(folder_name)
    if kind not in _table():
        return None
    name = os.path.relpath(os.path.join("/", filename), "/")  # noqa: PTH118  (cannot lead out)
    mark = FOLDERS_WITH.get(kind)
    for folder in _table()[kind][0]:
        path = Path(folder) / name
        if path.is_file() or (mark is not None and (path / mark).is_file()):
            return str(path)
    return None


def get_full_path_or_raise(folder_name: str, filename: str) -> str:
    """Path of a model; raises `FileNotFoundError` where there is none."""
    found = get_full_path(folder_name, filename)
    if found is None:
        raise FileNotFoundError(
            f"Model in folder '{folder_name}' with filename '{filename}' not found: it is in none of "
            + ", ".join(get_folder_paths(folder_name))
        )
    return found


def get_filename_list_(folder_name: str) -> tuple[list[str], dict[str, float], float]:
    """Names of the models of a kind as they are on the disk now, with when their folders changed."""
    kind = map_legacy(folder_name)
    folders, suffixes = _table()[kind]
    names: set[str] = set()
    changed: dict[str, float] = {}
    for folder in folders:
        found, times = recursive_search(folder, [".git"])
        changed |= times
        names.update(_models(kind, found, suffixes))
    return sorted(names, key=lambda name: (name.casefold(), name)), changed, time.perf_counter()


def _models(kind: str, found: list[str], suffixes: set[str]) -> Iterable[str]:
    mark = FOLDERS_WITH.get(kind)
    if mark is None:
        return filter_files_extensions(found, suffixes)
    return (os.path.dirname(name) for name in found if os.path.basename(name) == mark and name != mark)  # noqa: PTH119, PTH120


def cached_filename_list_(folder_name: str) -> tuple[list[str], dict[str, float], float] | None:
    """The last listing of a kind, while every one of its folders is as it was then; else None."""
    kind = map_legacy(folder_name)
    kept = filename_list_cache.get(kind)
    if kept is None:
        return None
    changed, roots = kept[1], _table()[kind][0]
    below = tuple(os.path.join(root, "") for root in roots)  # noqa: PTH118
    if any(root not in changed and Path(root).is_dir() for root in roots):
        return None
    for place, then in changed.items():
        try:
            if Path(place).stat().st_mtime != then or not os.path.join(place, "").startswith(below):  # noqa: PTH118
                return None
        except OSError:
            return None
    return kept


def get_filename_list(folder_name: str) -> list[str]:
    """Names of the models of a kind, relative to the folder that each lies in."""
    kept = cached_filename_list_(folder_name)
    if kept is None:
        kept = get_filename_list_(folder_name)
        filename_list_cache[map_legacy(folder_name)] = kept
    return list(kept[0])


def get_save_image_path(
    filename_prefix: str, output_dir: str, image_width: int = 0, image_height: int = 0
) -> tuple[str, str, int, str, str]:
    """Where files of a prefix go: folder, stem, first free counter, sub-folder, prefix.

    Variables in it are filled in. Raises `UsageError` for a prefix that leads out of the folder.
    """
    place = files.destination(filename_prefix, Path(output_dir), width=image_width, height=image_height)
    counter = files.next_counter(place)
    prefix = f"{place.subfolder}/{place.stem}" if place.subfolder else place.stem
    return str(place.folder), place.stem, counter, place.subfolder, prefix


del __file__
