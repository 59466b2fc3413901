"""Tokens of hubs: where they are found, and the only hosts that ever see them.

| where                          | goes to                                              |
|--------------------------------|------------------------------------------------------|
| `HF_TOKEN`                     | huggingface.co                                       |
| `CIVITAI_TOKEN`, `CIVITAI_API_TOKEN` | civitai.com, civitai.red                       |
| `[tokens]` of `comfykit.toml`  | the hub or host that its name says                   |
| Hugging Face's token file      | huggingface.co                                       |

The first that is there counts. The token file is `$HF_TOKEN_PATH`, else `token` in `$HF_HOME`, else in
`$XDG_CACHE_HOME/huggingface`, else in `~/.cache/huggingface`.

A token is bound to scheme, host and port. It goes over https; a table entry such as
`"http://127.0.0.1:8080"` allows http on this machine and nowhere else. Mirrors get none, also those that
`HF_ENDPOINT` names, unless the table names their host. No token is in a `repr`, an error or a log.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from comfykit.errors import UsageError
from comfykit.fetch.urls import clean_url, is_loopback, origin
from comfykit.home import expand

Origin = tuple[str, str, int]

# The names that a hub may have in `[tokens]`, and its hosts. Mirrors of a hub are not the hub.
HUB_HOSTS: Mapping[str, tuple[str, ...]] = {
    "huggingface": ("huggingface.co",),
    "civitai": ("civitai.com", "civitai.red"),
}
_VARIABLES = (
    ("HF_TOKEN", "huggingface"),
    ("CIVITAI_TOKEN", "civitai"),
    ("CIVITAI_API_TOKEN", "civitai"),
)
_MAX_FILE_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Token:
    """A secret, the origins that may see it, and where it was found (`HF_TOKEN`, a file's name)."""

    secret: str = field(repr=False)
    origins: frozenset[Origin]
    said_by: str


@dataclass(frozen=True, slots=True)
class Tokens:
    """All tokens of a run, the preferred ones first."""

    found: tuple[Token, ...] = ()

    def for_url(self, url: str) -> Token | None:
        """The token that an address may see; None for every other origin."""
        wanted = origin(url)
        return next((token for token in self.found if wanted in token.origins), None)

    def headers(self, url: str) -> tuple[tuple[str, str], ...]:
        """The header that carries the token of an address; none where it has none."""
        token = self.for_url(url)
        return (("Authorization", f"Bearer {token.secret}"),) if token else ()


def read_tokens(environment: Mapping[str, str], in_file: Mapping[str, str] | None = None) -> Tokens:
    """The tokens of the environment, of `[tokens]` in comfykit.toml, and of Hugging Face's token file.

    Raises `UsageError`, which never holds the token, for one that cannot be used.
    """
    found = [
        _token(environment[variable], _hosts(hub), variable)
        for variable, hub in _VARIABLES
        if environment.get(variable, "").strip()
    ]
    for name, secret in (in_file or {}).items():
        found.append(_token(secret, _origins(name), f"[tokens] {name} in comfykit.toml"))
    path = _token_file(environment)
    stored = _read(path)
    if stored:
        found.append(_token(stored, _hosts("huggingface"), str(path)))
    return Tokens(tuple(found))


def _token(secret: str, origins: Iterable[Origin], said_by: str) -> Token:
    secret = secret.strip()
    if not (secret and secret.isascii() and secret.isprintable() and " " not in secret):
        raise UsageError(
            f"the token of {said_by} is empty or holds spaces or other characters that no token has",
            hint="copy it again from the page that made it",
        )
    return Token(secret, frozenset(origins), said_by)


def _hosts(hub: str) -> list[Origin]:
    return [("https", host, 443) for host in HUB_HOSTS[hub]]


def _origins(name: str) -> list[Origin]:
    """The origins that a name in `[tokens]` stands for: a hub, a host, or scheme, host and port."""
    if name in HUB_HOSTS:
        return _hosts(name)
    text = name if "://" in name else f"https://{name}"
    try:
        address = clean_url(text.removesuffix("/") + "/")
    except ValueError as error:
        raise UsageError(f"[tokens] in comfykit.toml: {name!r} is no host ({error})") from error
    if address.count("/") != 3:
        raise UsageError(f"[tokens] in comfykit.toml: {name!r} is an address; name its host alone")
    if not address.lower().startswith("https:") and not is_loopback(address):
        raise UsageError(
            f"[tokens] in comfykit.toml: a token for {name!r} would be readable on its way",
            hint="name an https:// host; http:// is for this machine alone",
        )
    return [origin(address)]


def _token_file(environment: Mapping[str, str]) -> Path:
    """Where Hugging Face's own tools keep the token (huggingface_hub's "Environment variables")."""
    if environment.get("HF_TOKEN_PATH"):
        return expand(environment["HF_TOKEN_PATH"])
    if environment.get("HF_HOME"):
        return expand(environment["HF_HOME"]) / "token"
    cache = environment.get("XDG_CACHE_HOME") or str(Path(environment.get("HOME") or "~") / ".cache")
    return expand(cache) / "huggingface" / "token"


def _read(path: Path) -> str | None:
    """The text of the token file; None where there is none, or none that can be read."""
    try:
        with path.open("rb") as file:
            return file.read(_MAX_FILE_BYTES).decode("ascii", "replace").strip()
    except OSError:
        return None
