"""Videos on links: files, and pictures with sound that could become one. Files are read by `av` (PyAV)."""

from __future__ import annotations

import enum
import importlib
import io as streams
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import torch
from torch import Tensor


def _av() -> Any:
    """PyAV, which only packs that read or write videos need."""
    return importlib.import_module("av")


class VideoCodec(enum.StrEnum):
    AUTO = "auto"
    H264 = "h264"

    @classmethod
    def as_input(cls) -> list[str]:
        """The choices of a combo."""
        return [member.value for member in cls]


class VideoContainer(enum.StrEnum):
    AUTO = "auto"
    MP4 = "mp4"

    @classmethod
    def as_input(cls) -> list[str]:
        """The choices of a combo."""
        return [member.value for member in cls]

    @classmethod
    def get_extension(cls, value: Any) -> str:
        """The suffix of files, without a dot."""
        return "mp4"


@dataclass
class VideoComponents:
    """Pictures [frames, height, width, 3], sound (`waveform`, `sample_rate`), pictures a second."""

    images: Tensor
    frame_rate: Fraction
    audio: Mapping[str, Any] | None = None
    metadata: dict[str, Any] | None = None


class VideoInput(ABC):
    """VIDEO: a video of any kind."""

    @abstractmethod
    def get_components(self) -> VideoComponents:
        """Pictures and sound."""

    def save_to(
        self,
        path: Any,
        format: VideoContainer = VideoContainer.AUTO,
        codec: VideoCodec = VideoCodec.AUTO,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Write an MP4 file: H.264, and AAC where there is sound."""
        write_mp4(path, self.get_components(), metadata)

    def get_stream_source(self) -> str | streams.BytesIO:
        """Something that a reader of files can open."""
        buffer = streams.BytesIO()
        self.save_to(buffer)
        buffer.seek(0)
        return buffer

    def get_dimensions(self) -> tuple[int, int]:
        """Width and height."""
        images = self.get_components().images
        return images.shape[2], images.shape[1]

    def get_frame_count(self) -> int:
        return len(self.get_components().images)

    def get_frame_rate(self) -> Fraction:
        return Fraction(self.get_components().frame_rate)

    def get_duration(self) -> float:
        """Seconds."""
        return float(self.get_frame_count() / self.get_frame_rate())

    def get_container_format(self) -> str:
        return "mp4"


class VideoFromComponents(VideoInput):
    """A video of pictures."""

    def __init__(self, components: VideoComponents) -> None:
        self.__components = components

    def get_components(self) -> VideoComponents:
        return self.__components


class VideoFromFile(VideoInput):
    """A video in a file, or in a stream of bytes."""

    def __init__(self, file: str | Path | streams.BytesIO) -> None:
        self.__file = file

    def _open(self) -> Any:
        av = _av()

        if isinstance(self.__file, streams.BytesIO):
            self.__file.seek(0)
            return av.open(self.__file)
        return av.open(str(self.__file))

    def get_stream_source(self) -> str | streams.BytesIO:
        if isinstance(self.__file, streams.BytesIO):
            self.__file.seek(0)
            return self.__file
        return str(self.__file)

    def get_dimensions(self) -> tuple[int, int]:
        with self._open() as container:
            stream = container.streams.video[0]
            return stream.width, stream.height

    def get_frame_rate(self) -> Fraction:
        with self._open() as container:
            return Fraction(container.streams.video[0].average_rate or 1)

    def get_duration(self) -> float:
        with self._open() as container:
            stream = container.streams.video[0]
            if container.duration is not None:
                return float(container.duration / 1_000_000)
            return float(stream.frames / (stream.average_rate or 1))

    def get_frame_count(self) -> int:
        with self._open() as container:
            stream = container.streams.video[0]
            return int(stream.frames) or sum(1 for _ in container.decode(stream))

    def get_container_format(self) -> str:
        with self._open() as container:
            return str(container.format.name)

    def get_components(self) -> VideoComponents:
        with self._open() as container:
            stream = container.streams.video[0]
            rate = Fraction(stream.average_rate or 1)
            frames = [
                torch.from_numpy(frame.to_ndarray(format="rgb24")) for frame in container.decode(stream)
            ]
            images = torch.stack(frames).float() / 255.0 if frames else torch.zeros(0, 0, 0, 3)
            metadata = dict(container.metadata)
        return VideoComponents(images, rate, self._sound(), metadata)

    def _sound(self) -> dict[str, Any] | None:
        with self._open() as container:
            if not container.streams.audio:
                return None
            stream = container.streams.audio[0]
            av = _av()

            resampler = av.AudioResampler(format="fltp", layout=stream.layout, rate=stream.rate)
            parts = [
                torch.from_numpy(made.to_ndarray())
                for frame in container.decode(stream)
                for made in resampler.resample(frame)
            ]
            if not parts:
                return None
            return {"waveform": torch.cat(parts, dim=1)[None], "sample_rate": int(stream.rate)}


def write_mp4(path: Any, components: VideoComponents, metadata: Mapping[str, Any] | None) -> None:
    """Write pictures and sound to a file or a stream of bytes."""
    av = _av()

    target = path if hasattr(path, "write") else str(path)
    with av.open(target, mode="w", format="mp4", options={"movflags": "use_metadata_tags"}) as output:
        for name, value in (metadata or {}).items():
            output.metadata[name] = value if isinstance(value, str) else json.dumps(value)
        images = components.images
        rate = Fraction(components.frame_rate).limit_denominator(1000)
        video = output.add_stream("h264", rate=rate)
        video.height, video.width = int(images.shape[1]), int(images.shape[2])
        video.pix_fmt = "yuv420p"
        sound = components.audio
        audio = None if sound is None else output.add_stream("aac", rate=int(sound["sample_rate"]))
        for image in images:
            pixels = (image[..., :3] * 255).clamp(0, 255).byte().cpu().numpy()
            output.mux(video.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        output.mux(video.encode(None))
        if sound is not None and audio is not None:
            _mux_sound(output, audio, sound, len(images) / float(rate))


def _mux_sound(output: Any, stream: Any, sound: Mapping[str, Any], seconds: float) -> None:
    av = _av()

    rate = int(sound["sample_rate"])
    waveform = sound["waveform"][0, :, : int(seconds * rate)].float().cpu()
    layout = {1: "mono", 2: "stereo", 6: "5.1"}[waveform.shape[0]]
    frame = av.AudioFrame.from_ndarray(waveform.contiguous().numpy(), format="fltp", layout=layout)
    frame.sample_rate = rate
    frame.pts = 0
    output.mux(stream.encode(frame))
    output.mux(stream.encode(None))
