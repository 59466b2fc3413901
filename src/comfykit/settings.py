"""Settings, resolved once: flags > environment > `comfykit.toml` > defaults.

| setting        | flag               | environment               | comfykit.toml    | default          |
|----------------|--------------------|---------------------------|------------------|------------------|
| home           | `--home`           | `COMFYKIT_HOME`           | (its folder)     | `~/comfykit`     |
| input_dir      | `--input-dir`      | `COMFYKIT_INPUT_DIR`      | `input_dir`      | `input` of home  |
| output_dir     | `--output-dir`     | `COMFYKIT_OUTPUT_DIR`     | `output_dir`     | `output` of home |
| device         | `--device`         | `COMFYKIT_DEVICE`         | `device`         | `auto`           |
| precision      | `--precision`      | `COMFYKIT_PRECISION`      | `precision`      | `auto`           |
| preview_method | `--preview-method` | `COMFYKIT_PREVIEW_METHOD` | `preview_method` | `none`           |
| jobs           | `--jobs`           | `COMFYKIT_JOBS`           | `jobs`           | 8                |
| backend        | `--backend`        | `COMFYKIT_BACKEND`        | `backend`        | `auto`           |
| connections    | `--connections`    | `COMFYKIT_CONNECTIONS`    | `connections`    | 16               |
| max_speed      | `--max-speed`      | `COMFYKIT_MAX_SPEED`      | `max_speed`      | no limit         |
| registry       |                    | `COMFYKIT_REGISTRY`       | `registry`       | api.comfy.org    |

`backend` is what brings files: comfykit's own transfers (`httpx`) or `aria2`. `connections` counts those
for one file, `max_speed` bytes a second for all files together: `20M`, `1.5G` or a number. `registry` is
the address of the registry that knows custom-node packs by their ids.

`comfykit.toml` may also hold `[[mirrors]]` (docs/mirrors.md) and `[tokens]` (docs/tokens.md); with tokens
in it, it must be readable by its owner alone.

Relative paths in `comfykit.toml` are relative to that file, all others to the working directory.
"""

from __future__ import annotations

import os
import re
import stat
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from comfykit.errors import UsageError
from comfykit.home import Home, expand, open_home

FILE_NAME = "comfykit.toml"
DEVICES = ("auto", "cpu", "cuda")
PRECISIONS = ("auto", "fp32", "fp16", "bf16")

BACKENDS = ("auto", "httpx", "aria2")

REGISTRY = "https://api.comfy.org"

PREVIEW_METHODS = ("auto", "taesd", "latent2rgb", "none")

_RATE = re.compile(r"(?P<number>[0-9]+(\.[0-9]+)?) ?(?P<prefix>[KMG])?(i?B)?(/s)?", re.IGNORECASE)
_PATHS = ("input_dir", "output_dir")
_KEYS = (
    *_PATHS,
    "device",
    "precision",
    "preview_method",
    "jobs",
    "backend",
    "connections",
    "max_speed",
    "registry",
    "mirrors",
    "tokens",
)


@dataclass(frozen=True, slots=True)
class Settings:
    """What a command works with; passed down, never looked up again."""

    home: Home
    input_dir: Path
    output_dir: Path
    temp_dir: Path
    device: str = "auto"
    precision: str = "auto"
    preview_method: str = "none"
    jobs: int = 8
    backend: str = "auto"
    connections: int = 16
    max_speed: float | None = None
    registry: str = REGISTRY
    mirrors: tuple[Mapping[str, object], ...] = ()
    tokens: Mapping[str, str] = field(default_factory=dict, repr=False)


def resolve(
    flags: Mapping[str, object] | None = None,
    *,
    environment: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> Settings:
    """Settings from flags (None where not given), the environment, `comfykit.toml` and defaults.

    Raises `UsageError` for a value that cannot be used, naming where it came from.
    """
    given = {name: value for name, value in (flags or {}).items() if value is not None}
    environment = os.environ if environment is None else environment
    cwd = Path.cwd() if cwd is None else cwd
    root, toml = _find_home(given, environment, cwd)
    in_file = _read_file(toml) if toml else {}

    def pick(name: str, default: object) -> tuple[object, str]:
        variable = f"COMFYKIT_{name.upper()}"
        if name in given:
            return given[name], f"--{name.replace('_', '-')}"
        if environment.get(variable):
            return environment[variable], variable
        if name in in_file:
            value = in_file[name]
            return (toml.parent / expand(str(value)) if toml and name in _PATHS else value), str(toml)
        return default, "default"

    def path(name: str, folder: str) -> Path:
        value, _ = pick(name, root / folder)
        return cwd / expand(str(value))

    return Settings(
        home=open_home(root),
        input_dir=path("input_dir", "input"),
        output_dir=path("output_dir", "output"),
        temp_dir=root / "temp",
        device=_one_of("device", DEVICES, *pick("device", "auto")),
        precision=_one_of("precision", PRECISIONS, *pick("precision", "auto")),
        preview_method=_one_of("preview_method", PREVIEW_METHODS, *pick("preview_method", "none")),
        jobs=_positive("jobs", *pick("jobs", 8)),
        backend=_one_of("backend", BACKENDS, *pick("backend", "auto")),
        connections=_positive("connections", *pick("connections", 16)),
        max_speed=_rate("max_speed", *pick("max_speed", None)),
        registry=_address("registry", *pick("registry", REGISTRY)),
        mirrors=_mirrors(in_file, toml),
        tokens=_tokens(in_file, toml),
    )


def _find_home(
    given: Mapping[str, object], environment: Mapping[str, str], cwd: Path
) -> tuple[Path, Path | None]:
    """The home, and its `comfykit.toml` where it has one."""
    if "home" in given:
        root = cwd / expand(str(given["home"]))
    elif environment.get("COMFYKIT_HOME"):
        root = cwd / expand(environment["COMFYKIT_HOME"])
    else:
        above = (folder for folder in (cwd, *cwd.parents) if os.path.isfile(folder / FILE_NAME))  # noqa: PTH113
        root = next(above, None) or expand("~/comfykit")
    toml = root / FILE_NAME
    try:
        if root.exists() and not root.is_dir():
            raise UsageError(f"the home {root} is a file", hint="give --home a folder")
        return root, toml if toml.is_file() else None
    except OSError as error:
        raise UsageError(
            f"the home {root} cannot be looked into: {error.strerror}", hint="choose another with --home"
        ) from error


def _read_file(path: Path) -> dict[str, object]:
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}", hint="make it readable or move it away") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: {error}", hint="mend the file or move it away") from error
    unknown = sorted(set(table) - set(_KEYS))
    if unknown:
        raise UsageError(f"{path}: unknown setting {unknown[0]!r}", hint=f"settings are {', '.join(_KEYS)}")
    for name in _PATHS:
        if not isinstance(table.get(name, ""), str):
            raise UsageError(f"{path}: {name} {table[name]!r} is not a path", hint="put it between quotes")
    return table


def _mirrors(in_file: Mapping[str, object], toml: Path | None) -> tuple[Mapping[str, object], ...]:
    """The tables of `[[mirrors]]`; what stands in them is judged where they are used."""
    tables = in_file.get("mirrors", [])
    if not (isinstance(tables, list) and all(isinstance(table, dict) for table in tables)):
        raise UsageError(f"{toml}: mirrors are tables", hint="write [[mirrors]], then from and to below it")
    return tuple(tables)


def _tokens(in_file: Mapping[str, object], toml: Path | None) -> Mapping[str, str]:
    """The entries of `[tokens]`, from a file that nobody else can read."""
    table = in_file.get("tokens", {})
    if not (isinstance(table, dict) and all(isinstance(token, str) for token in table.values())):
        raise UsageError(
            f"{toml}: tokens are texts", hint='write [tokens], then huggingface = "hf_..." below it'
        )
    if table and toml is not None:
        mode = stat.S_IMODE(toml.stat().st_mode)
        if mode & 0o077:
            raise UsageError(
                f"{toml} holds tokens, and others can read it (mode {mode:03o})", hint=f"chmod 600 {toml}"
            )
    return table


def _one_of(name: str, allowed: tuple[str, ...], value: object, source: str) -> str:
    if value not in allowed:
        raise UsageError(f"{name} {value!r} ({source}) is not one of {', '.join(allowed)}")
    return str(value)


def _positive(name: str, value: object, source: str) -> int:
    try:
        number = int(str(value))
    except ValueError:
        number = 0
    if number < 1:
        raise UsageError(f"{name} {value!r} ({source}) is not a whole number above 0")
    return number


def _address(name: str, value: object, source: str) -> str:
    if not str(value).startswith(("https://", "http://")):
        raise UsageError(f"{name} {value!r} ({source}) is not an address", hint=f"such as {REGISTRY}")
    return str(value).rstrip("/")


def _rate(name: str, value: object, source: str) -> float | None:
    """Bytes a second from `20M`; binary prefixes, with or without `B` or `iB` after them."""
    if value is None:
        return None
    match = _RATE.fullmatch(str(value).strip())
    number = float(match["number"]) * 1024 ** " KMG".index((match["prefix"] or " ").upper()) if match else 0.0
    if number < 1:
        raise UsageError(
            f"{name} {value!r} ({source}) is no rate in bytes a second", hint="such as 20M or 500K"
        )
    return number
