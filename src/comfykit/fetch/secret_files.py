"""Variables whose values lie in files, as containers get secrets.

| where                              | counts                                   |
|------------------------------------|------------------------------------------|
| the variable, `HF_TOKEN`           | first                                    |
| `HF_TOKEN_FILE`                    | then the text of the file that it names  |
| `/run/secrets/HF_TOKEN`, `hf_token` | then the secret of that name            |

`COMFYKIT_SECRETS` names another folder than `/run/secrets`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from comfykit.errors import UsageError

NAMES = (
    "HF_TOKEN",
    "CIVITAI_TOKEN",
    "CIVITAI_API_TOKEN",
    "HF_ENDPOINT",
    "GITHUB_ENDPOINT",
    "COMFYKIT_MIRRORS",
)
FOLDER = "/run/secrets"
_MAX_BYTES = 64 * 1024


def with_secret_files(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment with what lies in files for those of `NAMES` that it lacks.

    Raises `UsageError`, which never holds the secret, for a file that is named and cannot be read.
    """
    found = dict(environment)
    folder = Path(environment.get("COMFYKIT_SECRETS") or FOLDER)
    for name in NAMES:
        if environment.get(name, "").strip():
            continue
        named = environment.get(f"{name}_FILE", "").strip()
        places = [Path(named)] if named else [folder / name, folder / name.lower()]
        text = next((text for path in places if (text := _read(path)) is not None), None)
        if text is not None:
            found[name] = text
        elif named:
            raise UsageError(
                f"{name}_FILE: {named} is no file that can be read",
                hint=f"mount the secret there, or unset {name}_FILE",
            )
    return found


def _read(path: Path) -> str | None:
    """The text of a file without the line end; None where there is none to be read."""
    try:
        with path.open("rb") as file:
            return file.read(_MAX_BYTES).decode("utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return None
