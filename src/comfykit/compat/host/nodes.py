"""ComfyUI's `nodes`: the built-in node classes, to be called and subclassed, and every class by its name.

`NODE_CLASS_MAPPINGS` has our classes and, once packs are loaded, theirs.
"""

from __future__ import annotations

import secrets
import string
from pathlib import Path
from typing import Any

from comfykit.compat import crossing, runtime
from comfykit.compat.builtin_classes import BuiltinNode, v1_class
from comfykit.compat.host import folder_paths
from comfykit.compat.host.comfy import model_management
from comfykit.compat.places_of_modules import file_in_home
from comfykit.compat.upstream_names import CORE, FUNCTIONS, ORDERS
from comfykit.families.guiders import CFGGuider
from comfykit.nodes import saving
from comfykit.nodes.builtin import builtin_registry
from comfykit.nodes.pictures import metadata
from comfykit.nodes.sampling import sample_latent
from comfykit.sampling.latent_noise import NoNoise, RandomNoise
from comfykit.sampling.sample import cut_sigmas
from comfykit.sampling.samplers import find_sampler
from comfykit.sampling.schedulers import make_sigmas

MAX_RESOLUTION = 16384

NODE_CLASS_MAPPINGS: dict[str, Any] = {}
NODE_DISPLAY_NAME_MAPPINGS: dict[str, str] = {}
EXTENSION_WEB_DIRS: dict[str, str] = {}
LOADED_MODULE_DIRS: dict[str, str] = {}


def __getattr__(name: str) -> Any:
    return file_in_home("nodes", name)


class _Saver(BuiltinNode):
    """Keeps pictures as PNG files where its attributes say, which subclasses of packs set."""

    def __init__(self) -> None:
        self.output_dir = folder_paths.get_output_directory()
        self.type = "output"
        self.prefix_append = ""
        self.compress_level = saving.SAVED_COMPRESSION

    def _run(self, *args: Any, **kwargs: Any) -> Any:
        given = dict(zip(self._order, args, strict=False)) | kwargs
        prefix = str(given.get("filename_prefix", "ComfyUI")) + self.prefix_append
        files = saving.save_pictures(
            given["images"],
            prefix,
            Path(self.output_dir),
            metadata(given.get("prompt"), given.get("extra_pnginfo")),
            self.compress_level,
            runtime.context(),
        )
        return {"ui": {"images": [{**file, "type": self.type} for file in files]}}


def _init_preview(self: Any) -> None:
    """Keeps pictures in the temp folder, under a prefix that no other preview has."""
    self.output_dir = folder_paths.get_temp_directory()
    self.type = "temp"
    self.prefix_append = "_temp_" + "".join(secrets.choice(string.ascii_lowercase) for _ in range(5))
    self.compress_level = saving.PREVIEW_COMPRESSION


class _LoraLoader(BuiltinNode):
    """Subclasses of packs read and set what was loaded last."""

    def __init__(self) -> None:
        self.loaded_lora: Any = None


def _made() -> dict[str, type[BuiltinNode]]:
    """Our classes by their names."""
    bases: dict[str, type[BuiltinNode]] = {
        "SaveImage": _Saver,
        "LoraLoader": _LoraLoader,
        "LoraLoaderModelOnly": _LoraLoader,
    }
    return {
        entry.name: v1_class(
            entry,
            FUNCTIONS.get(entry.name, "execute"),
            ORDERS.get(entry.name, ()),
            bases.get(entry.name, BuiltinNode),
        )
        for entry in builtin_registry()
    }


def _load() -> None:
    """Fill the mappings, and give the module the classes that ComfyUI's defines."""
    made = _made()
    for name in ("ImageScale", "ImageScaleBy", "LatentUpscale", "LatentUpscaleBy"):
        _add_methods(made[name])
    made["PreviewImage"] = _preview_class(made["SaveImage"], made["PreviewImage"])
    NODE_CLASS_MAPPINGS.update(made)
    NODE_DISPLAY_NAME_MAPPINGS.update(
        {entry.name: entry.title for entry in builtin_registry() if entry.title}
    )
    globals().update({name: kind for name, kind in made.items() if name in CORE})


def _add_methods(kind: Any) -> None:
    """The choices that packs read from the classes that resize."""
    for attribute, name in (("upscale_methods", "upscale_method"), ("crop_methods", "crop")):
        spec = kind._entry.inputs.get(name)
        if spec is not None:
            setattr(kind, attribute, list(spec.choices))


def _preview_class(saver: type[BuiltinNode], preview: type[BuiltinNode]) -> type[BuiltinNode]:
    """`PreviewImage` as a kind of `SaveImage`, which packs subclass."""
    own = {name: value for name, value in vars(preview).items() if not name.startswith("__")}
    own |= {"__module__": "nodes", "__doc__": preview.__doc__, "__init__": _init_preview}
    return type("PreviewImage", (saver,), own)


def common_ksampler(
    model: Any,
    seed: int,
    steps: int,
    cfg: float,
    sampler_name: str,
    scheduler: str,
    positive: Any,
    negative: Any,
    latent: dict[str, Any],
    denoise: float = 1.0,
    disable_noise: bool = False,
    start_step: int | None = None,
    last_step: int | None = None,
    force_full_denoise: bool = False,
) -> tuple[dict[str, Any]]:
    """Denoise a latent: all steps of a schedule, or those from `start_step` to `last_step`."""
    found = crossing.to_engine(model)
    sigmas = make_sigmas(found.levels, scheduler, steps, denoise, sampler_name)
    if start_step is not None or last_step is not None:
        last = steps if last_step is None else last_step
        sigmas = cut_sigmas(sigmas, start_step or 0, last, force_full_denoise)
    guider = CFGGuider(found, crossing.to_engine(positive), crossing.to_engine(negative), cfg)
    noise = NoNoise(seed) if disable_noise else RandomNoise(seed)
    return (sample_latent(runtime.context(), guider, latent, find_sampler(sampler_name), sigmas, noise)[0],)


def before_node_execution() -> None:
    """Raise where the run was asked to stop."""
    model_management.throw_exception_if_processing_interrupted()


def interrupt_processing(value: bool = True) -> None:
    """Ask the run to stop, or take that back."""
    model_management.interrupt_current_processing(value)


def get_module_name(module_path: str) -> str:
    """The name of a pack's module from the path of its folder or file."""
    path = Path(module_path)
    return path.stem if path.is_file() else path.name


_load()
del __file__
