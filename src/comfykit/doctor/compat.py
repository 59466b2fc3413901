"""The compatibility tables of `assets/compat.toml`, typed; where they come from stands in that file."""

from __future__ import annotations

import functools
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources

from comfykit.doctor.versions import at_least, minor, release, within

Compute = tuple[int, int]


@dataclass(frozen=True, slots=True)
class TorchRelease:
    """A minor release of torch and what was published for it; None where nothing is fixed.

    `default` is the CUDA version of the build that PyPI serves on Linux. `windows_numpy2` is the first patch
    release whose Windows wheels were built for numpy 2, False where none was.
    """

    version: str
    python: str
    cuda: tuple[str, ...]
    default: str
    glibc: str
    torchvision: str | None = None
    torchaudio: str | None = None
    triton: str | None = None
    numpy2: bool = False
    windows_numpy2: str | bool = True


@dataclass(frozen=True, slots=True)
class Architectures:
    """The GPU kinds that some builds have code for; "12.0+" has intermediate code too."""

    torch: str
    cuda: tuple[str, ...]
    built: tuple[str, ...]
    systems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Double:
    """Packages of which one alone can be installed; `keep` has the one to keep first."""

    packages: tuple[str, ...]
    keep: tuple[str, ...]
    module: str
    code: str


@dataclass(frozen=True, slots=True)
class Tables:
    """All of `assets/compat.toml`."""

    torch: tuple[TorchRelease, ...]
    architectures: tuple[Architectures, ...]
    cuda: tuple[Mapping[str, str], ...]
    minor: Mapping[str, Mapping[str, str]]
    gpu: tuple[Mapping[str, str], ...]
    half: tuple[Mapping[str, str], ...]
    numpy2: Mapping[str, str]
    numba: tuple[Mapping[str, str], ...]
    double: tuple[Double, ...]
    onnxruntime: tuple[Mapping[str, str], ...]
    xformers: Mapping[str, str]
    rocm: Mapping[str, str]

    def torch_release(self, version: str) -> TorchRelease | None:
        """The row of a torch version."""
        return next((row for row in self.torch if row.version == minor(version)), None)

    def architectures_of(self, torch: str, cuda: str, system: str) -> tuple[str, ...] | None:
        """What a wheel of torch has code for; None where the table does not say."""
        fitting = (
            row.built
            for row in self.architectures
            if within(torch, row.torch) and minor(cuda) in row.cuda and system in row.systems
        )
        return next(fitting, None)

    def compute_of(self, name: str) -> Compute | None:
        """Compute capability of a GPU by its name."""
        found = next((row["compute"] for row in self.gpu if re.search(row["pattern"], name)), None)
        return compute(found) if found else None

    def is_bad_at_half(self, name: str) -> bool:
        """Whether a GPU gives black pictures with half precision."""
        return any(re.search(row["pattern"], name) for row in self.half)

    def cuda_of_driver(self, driver: str, system: str) -> str | None:
        """The newest CUDA version that a driver supports in full."""
        known = [row["version"] for row in self.cuda if at_least(driver, row[system])]
        return known[-1] if known else None

    def oldest_driver(self, cuda: str, system: str) -> str | None:
        """The oldest driver that runs builds of a CUDA version, thanks to minor-version compatibility."""
        row = self.minor.get(cuda.split(".", maxsplit=1)[0])  # CUDA 10 and before know no such thing
        row = row or next((row for row in self.cuda if row["version"] == cuda), None)
        return row[system] if row else None


@functools.cache
def tables() -> Tables:
    """The tables, read once."""
    text = resources.files("comfykit").joinpath("assets", "compat.toml").read_text(encoding="utf-8")
    raw = tomllib.loads(text)
    return Tables(
        torch=tuple(TorchRelease(**{**row, "cuda": tuple(row["cuda"])}) for row in raw["torch"]),
        architectures=tuple(
            Architectures(
                row["torch"],
                tuple(row["cuda"]),
                tuple(row["built"]),
                tuple(row.get("systems", ("linux", "windows"))),
            )
            for row in raw["architectures"]
        ),
        cuda=tuple(raw["cuda"]),
        minor=raw["minor"],
        gpu=tuple(raw["gpu"]),
        half=tuple(raw["half"]),
        numpy2=raw["numpy2"],
        numba=tuple(raw["numba"]),
        double=tuple(
            Double(tuple(row["packages"]), tuple(row["keep"]), row["module"], row["code"])
            for row in raw["double"]
        ),
        onnxruntime=tuple(raw["onnxruntime"]),
        xformers=raw["xformers"],
        rocm=raw["rocm"],
    )


def compute(text: str) -> Compute:
    """Compute capability from "8.6"."""
    first, _, second = text.rstrip("+").partition(".")
    return int(first), int(second or 0)


def runs_on(built: tuple[str, ...], gpu: Compute) -> bool:
    """Whether code for some GPU kinds runs on a GPU.

    Machine code runs on its own major version from its minor version on, intermediate code ("12.0+") on
    everything that is newer (CUDA C++ Programming Guide, "Application compatibility").
    """
    for entry in built:
        major, second = compute(entry)
        if entry.endswith("+") and (major, second) <= gpu:
            return True
        if major == gpu[0] and second <= gpu[1]:
            return True
    return False


def cuda_of_tag(tag: str | None) -> str | None:
    """The CUDA version of a build tag: "cu126" is "12.6"; None for "cpu" and others."""
    found = re.fullmatch(r"cu(\d+)(\d)", tag or "")
    return f"{found[1]}.{found[2]}" if found else None


def tag_of_cuda(cuda: str) -> str:
    """The build tag of a CUDA version: "12.6" is "cu126"."""
    return "cu" + "".join(map(str, (*release(cuda), 0)[:2]))
