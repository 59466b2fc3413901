"""One line of a requirements file: a requirement, an option, or a sentence on why it is neither.

What pip reads is read here, less what a stranger's file should not decide: other protocols than https, ssh
and file, files outside the pack, variables of the environment, options for the installer.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from packaging.requirements import InvalidRequirement
from packaging.requirements import Requirement as Parsed
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

MAX_LINE = 8192

_COMMENT = re.compile(r"(^|\s)#.*$")
_OPTION = re.compile(
    r"(?P<name>--[a-z0-9-]+|-[a-zA-Z])(?:\s*=\s*|\s+|(?<=^-[a-zA-Z])(?=\S))?(?P<value>.*)", re.DOTALL
)
_HASH = re.compile(r"\s--hash[=\s](?P<hash>sha(?:256|384|512):[0-9a-f]+)")
_LINE_OPTION = re.compile(r"\s-{1,2}[a-zA-Z][\w-]*")
_VARIABLE = re.compile(r"\$\{[A-Z0-9_]+\}")
_VCS = re.compile(r"(?P<vcs>[a-z]+)\+", re.IGNORECASE)
_ARCHIVES = (".whl", ".zip", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
_GIT = ("git+https", "git+ssh", "git+file")
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, slots=True)
class Requirement:
    """What a pack wants, and where it says so; `name` is None where an address names no package.

    `text` is the requirement as uv is given it. `url` is a file, an archive or a git repository.
    """

    pack: str
    file: str
    line: int
    text: str
    name: str | None
    specifier: str = ""
    extras: tuple[str, ...] = ()
    marker: str | None = None
    url: str | None = None
    hashes: tuple[str, ...] = ()

    @property
    def where(self) -> str:
        """Pack, file and line: "ComfyUI-A/requirements.txt:3"."""
        return f"{self.pack}/{self.file}:{self.line}" if self.line else f"{self.pack}/{self.file}"

    def renamed(self, name: str, *, specifier: str | None = None) -> str:
        """The requirement on another package, with another specifier if one is given; not its address."""
        extras = f"[{','.join(self.extras)}]" if self.extras else ""
        marker = f" ; {self.marker}" if self.marker else ""
        return f"{name}{extras}{self.specifier if specifier is None else specifier}{marker}"


@dataclass(frozen=True, slots=True)
class Option:
    """An option of a requirements file: `name` in its long form ("--index-url"), and its value."""

    name: str
    value: str


class BadLine(ValueError):
    """A line that cannot be used: a sentence, and what to write instead."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message if hint is None else f"{message}; {hint}")


_SHORT = {"-r": "--requirement", "-c": "--constraint", "-e": "--editable", "-i": "--index-url"}
_SHORT["-f"] = "--find-links"


def decode(data: bytes) -> str:
    """Text of a file by its byte order mark, without one UTF-8, and Latin-1 where it is not that."""
    for mark, encoding in (
        (b"\xef\xbb\xbf", "utf-8-sig"),
        (b"\xff\xfe\x00\x00", "utf-32"),
        (b"\x00\x00\xfe\xff", "utf-32"),
        (b"\xff\xfe", "utf-16"),
        (b"\xfe\xff", "utf-16"),
    ):
        if data.startswith(mark):
            return data.decode(encoding, errors="replace")
    if data[1::2].count(0) > len(data) // 4:  # UTF-16 of mostly ASCII, as PowerShell writes it
        return data.decode("utf-16-le", errors="replace")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines that say something, with the number of the first: comments away, continued lines joined."""
    start, parts = 0, ""
    for number, line in enumerate(re.split(r"\r\n|\n|\r", text), start=1):
        start = start or number
        said = _COMMENT.sub("", line).rstrip()
        if said.endswith("\\"):
            parts += said[:-1] + " "
            continue
        if joined := (parts + said).strip():
            yield start, joined
        start, parts = 0, ""
    if parts.strip():
        yield start, parts.strip()


def read_option(text: str) -> Option:
    """An option line; raises `BadLine` where it is none."""
    match = _OPTION.fullmatch(text)
    if match is None:
        raise BadLine(f"{text!r} is no option that is known")
    name = _SHORT.get(match["name"], match["name"])
    return Option(name, match["value"].strip().strip("\"'"))


def read_requirement(text: str, *, pack: Path, file: str, line: int) -> Requirement:
    """A requirement of the pack in the folder `pack`; raises `BadLine` where it cannot be used."""
    if len(text) > MAX_LINE:
        raise BadLine(f"a line of {len(text)} characters")
    if not text.replace("\t", " ").isprintable():
        raise BadLine("a control or invisible character in the line")
    if _VARIABLE.search(text):
        raise BadLine(f"{text!r} names a variable of the environment", "packs get none")
    if text.startswith(("pip ", "pip3 ", "python ", "uv ")):
        raise BadLine(f"{text!r} is a command", "write what it installs alone")
    hashes = tuple(match["hash"] for match in _HASH.finditer(text))
    text = _HASH.sub("", text).strip()
    if _LINE_OPTION.search(text):
        raise BadLine(f"{text!r} has an option behind the requirement", "options stand on lines of their own")
    if _is_address(text):
        name, address = _address(text, pack)
        shown = f"{name} @ {address}" if name else address
        return Requirement(pack.name, file, line, shown, name, url=address, hashes=hashes)
    try:
        parsed = Parsed(text)
    except InvalidRequirement as error:
        raise BadLine(f"{text!r} cannot be read ({str(error).splitlines()[0]})", _meant(text)) from error
    url = _address(parsed.url, pack)[1] if parsed.url else None
    if parsed.url and url:
        parsed.url = url
    return Requirement(
        pack.name,
        file,
        line,
        str(parsed),
        canonicalize_name(parsed.name),
        str(parsed.specifier),
        tuple(sorted(parsed.extras)),
        str(parsed.marker) if parsed.marker else None,
        url,
        hashes,
    )


def _is_address(text: str) -> bool:
    if re.match(r"[A-Za-z0-9._-]+\s*(\[[^\]]*\])?\s*@", text):
        return False  # "name @ address"
    return (
        bool(re.match(r"[a-z+]+:", text, re.IGNORECASE))
        or text.startswith((".", "/", "~"))
        or text.lower().endswith(_ARCHIVES)
    )


def _address(text: str, pack: Path) -> tuple[str | None, str]:
    """Name (where the address has one) and address, checked."""
    vcs = _VCS.match(text)
    if vcs:
        return _git(text)
    scheme = text.partition(":")[0].lower() if re.match(r"[a-zA-Z]{2,}:", text) else ""
    if scheme in ("http", "https"):
        parts = urlsplit(text)
        if scheme == "http" and parts.hostname not in _LOOPBACK:
            raise BadLine(f"{text!r} could be changed by others on its way", "write https")
        return _named(parts.path, parts.fragment), text
    if scheme not in ("", "file"):
        raise BadLine(f"{text!r} is neither an https address nor git", "write git+https://...")
    path = unquote(urlsplit(text).path) if scheme else text
    place = (pack / path).resolve()
    if place == pack.resolve():
        raise BadLine(f"{text!r} is the pack itself, which is not installed but loaded from its folder")
    if not place.is_relative_to(pack.resolve()):
        raise BadLine(f"{text!r} lies outside the pack")
    if not place.exists():
        raise BadLine(f"{text!r} is not in the pack")
    return _named(place.name, urlsplit(text).fragment), place.as_uri()


def _git(text: str) -> tuple[str | None, str]:
    parts = urlsplit(text)
    if parts.scheme.lower() not in _GIT and not (
        parts.scheme.lower() == "git+http" and parts.hostname in _LOOPBACK
    ):
        raise BadLine(f"{text!r} comes by {parts.scheme}", "git+https, git+ssh and git+file can be used")
    path, _, revision = parts.path.partition("@")
    if revision.startswith("-") or (parts.netloc.rpartition("@")[2]).startswith("-") or "::" in text:
        raise BadLine(f"{text!r} is no address of a repository")
    if ":" in parts.netloc.rpartition("@")[0]:
        raise BadLine(f"an address with a password in it, {parts.hostname}{path}")
    return _named("", parts.fragment), text


def _named(path: str, fragment: str) -> str | None:
    """The name that a wheel's file name or `#egg=` says."""
    egg = re.search(r"(?:^|&)egg=([A-Za-z0-9._-]+)", fragment)
    if egg:
        return canonicalize_name(egg[1])
    try:
        return parse_wheel_filename(unquote(path.rpartition("/")[2]))[0]
    except InvalidWheelFilename:
        return None


def _meant(text: str) -> str | None:
    single = re.sub(r"(?<![=<>!~])=(?![=])", "==", text, count=1)
    wildcard = re.sub(r"([<>~]=?\s*[\d.]+)\.\*", r"\1", text)
    for guess in (single, wildcard, text.replace("~=", ">=")):
        with suppress(InvalidRequirement):
            if guess != text:
                return f"did you mean {Parsed(guess)}?"
    return None
