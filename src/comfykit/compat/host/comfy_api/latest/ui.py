"""ComfyUI's `comfy_api.latest.ui`: what a node shows, and files that it saves for that."""

from __future__ import annotations

import secrets
import wave
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from comfykit.compat import running, runtime
from comfykit.compat.host.comfy_api.latest._schema import _UIOutput
from comfykit.compat.host.comfy_api.latest._widgets import FolderType
from comfykit.nodes import saving
from comfykit.nodes.files import destination, next_counter, save_new
from comfykit.nodes.pictures import metadata


class SavedResult(dict[str, Any]):
    """A file as a front end is told of it."""

    def __init__(self, filename: str, subfolder: str, type: FolderType) -> None:
        super().__init__(filename=filename, subfolder=subfolder, type=str(getattr(type, "value", type)))

    @property
    def filename(self) -> str:
        return str(self["filename"])

    @property
    def subfolder(self) -> str:
        return str(self["subfolder"])

    @property
    def type(self) -> FolderType:
        return FolderType(self["type"])


class SavedImages(_UIOutput):
    """Pictures that were saved."""

    def __init__(self, results: list[SavedResult], is_animated: bool = False) -> None:
        self.results = results
        self.is_animated = is_animated

    def as_dict(self) -> dict[str, Any]:
        shown: dict[str, Any] = {"images": self.results}
        return {**shown, "animated": (True,)} if self.is_animated else shown


class SavedAudios(_UIOutput):
    """Sounds that were saved."""

    def __init__(self, results: list[SavedResult]) -> None:
        self.results = results

    def as_dict(self) -> dict[str, Any]:
        return {"audio": self.results}


def _folder(folder_type: Any) -> tuple[Path, str]:
    settings = running.settings()
    kind = str(getattr(folder_type, "value", folder_type))
    places = {"output": settings.output_dir, "input": settings.input_dir, "temp": settings.temp_dir}
    return places[kind], kind


def _texts(cls: Any) -> dict[str, str]:
    hidden = getattr(cls, "hidden", None)
    return metadata(getattr(hidden, "prompt", None), getattr(hidden, "extra_pnginfo", None))


class ImageSaveHelper:
    """Saves pictures with the workflow in them, where the node class that is given has it."""

    @staticmethod
    def save_images(
        images: Tensor, filename_prefix: str, folder_type: FolderType, cls: Any, compress_level: int = 4
    ) -> list[SavedResult]:
        folder, kind = _folder(folder_type)
        context = runtime.context()
        files = saving.save_pictures(images, filename_prefix, folder, _texts(cls), compress_level, context)
        return [SavedResult(file["filename"], file["subfolder"], FolderType(kind)) for file in files]

    @staticmethod
    def get_save_images_ui(
        images: Tensor, filename_prefix: str, cls: Any, compress_level: int = 4
    ) -> SavedImages:
        """Save pictures to the output folder, and show them."""
        return SavedImages(
            ImageSaveHelper.save_images(images, filename_prefix, FolderType.output, cls, compress_level)
        )


class AudioSaveHelper:
    """Saves sounds as WAV files of 16 bits."""

    @staticmethod
    def save_audio(
        audio: dict[str, Any],
        filename_prefix: str,
        folder_type: FolderType,
        cls: Any = None,
        format: str = "wav",
        quality: str = "128k",
    ) -> list[SavedResult]:
        """One file for each sound of the batch; other formats are not written."""
        folder, kind = _folder(folder_type)
        place = destination(filename_prefix, folder)
        counter, results = next_counter(place), []
        for index, waveform in enumerate(audio["waveform"]):
            rate = int(audio["sample_rate"])
            name, counter = save_new(
                place.folder, place.of_batch(index), counter, ".wav", _wav(waveform, rate)
            )
            counter += 1
            results.append(SavedResult(name, place.subfolder, FolderType(kind)))
        return results

    @staticmethod
    def get_save_audio_ui(
        audio: dict[str, Any], filename_prefix: str, cls: Any, format: str = "wav", quality: str = "128k"
    ) -> SavedAudios:
        """Save sounds to the output folder, and offer them."""
        return SavedAudios(AudioSaveHelper.save_audio(audio, filename_prefix, FolderType.output, cls))


def _wav(waveform: Tensor, rate: int) -> Any:
    samples = (waveform.float().cpu().clamp(-1.0, 1.0) * 32767.0).round().to(torch.int16)

    def write(path: Path) -> None:
        with wave.open(str(path), "wb") as file:
            file.setnchannels(samples.shape[0])
            file.setsampwidth(2)
            file.setframerate(rate)
            file.writeframes(samples.t().contiguous().numpy().tobytes())

    return write


def _unique(name: str) -> str:
    return f"{name}_{secrets.token_hex(4)}"


class PreviewImage(_UIOutput):
    """Pictures to look at, saved in the temp folder."""

    def __init__(self, image: Tensor, animated: bool = False, cls: Any = None, **kwargs: Any) -> None:
        self.values = ImageSaveHelper.save_images(
            image, _unique("ComfyUI_temp"), FolderType.temp, cls, saving.PREVIEW_COMPRESSION
        )
        self.animated = animated

    def as_dict(self) -> dict[str, Any]:
        return {"images": self.values, "animated": (self.animated,)}


class PreviewMask(PreviewImage):
    """Masks [batch, height, width] to look at."""

    def __init__(self, mask: Tensor, animated: bool = False, cls: Any = None, **kwargs: Any) -> None:
        image = mask.reshape((-1, 1, *mask.shape[-2:])).movedim(1, -1).expand(-1, -1, -1, 3)
        super().__init__(image, animated, cls)


class PreviewAudio(_UIOutput):
    """A sound to listen to, saved in the temp folder."""

    def __init__(self, audio: dict[str, Any], cls: Any = None, **kwargs: Any) -> None:
        self.values = AudioSaveHelper.save_audio(audio, _unique("ComfyUI_temp"), FolderType.temp, cls)

    def as_dict(self) -> dict[str, Any]:
        return {"audio": self.values}


class PreviewVideo(_UIOutput):
    """Videos to look at: files that were saved."""

    def __init__(self, values: Iterable[Any], **kwargs: Any) -> None:
        self.values = list(values)

    def as_dict(self) -> dict[str, Any]:
        return {"images": self.values, "animated": (True,)}


class PreviewUI3D(_UIOutput):
    """A 3-D model to look at."""

    def __init__(self, model_file: str, camera_info: Any = None, **kwargs: Any) -> None:
        self.model_file = model_file
        self.camera_info = camera_info

    def as_dict(self) -> dict[str, Any]:
        return {"result": [self.model_file, self.camera_info]}


class PreviewText(_UIOutput):
    """A text to read."""

    def __init__(self, value: str, **kwargs: Any) -> None:
        self.value = value

    def as_dict(self) -> dict[str, Any]:
        return {"text": (self.value,)}


__all__ = [
    "AudioSaveHelper",
    "ImageSaveHelper",
    "PreviewAudio",
    "PreviewImage",
    "PreviewMask",
    "PreviewText",
    "PreviewUI3D",
    "PreviewVideo",
    "SavedAudios",
    "SavedImages",
    "SavedResult",
    "_UIOutput",
]
