"""Reads the text of a manifest: an aria2 input file, read more strictly than aria2 does.

A line in the first column holds the addresses of one file, TAB between mirrors; indented lines below
it are its options, `name=value`; `#` in the first column starts a comment. aria2 gives an option to
the last address that was not commented out, whoever it was written for, and takes an indented `#` for
an option. Here each of these is a problem with its line, and no entry is guessed.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from comfykit.fetch.addresses import COMMENTED, START, address_hint, read_address
from comfykit.fetch.entry import ManifestEntry, Problem
from comfykit.fetch.hubs import file_name, is_pinned
from comfykit.fetch.options import (
    REPEATABLE,
    UNUSED,
    is_secret_header,
    read_checksum,
    read_header,
    why_refused,
)
from comfykit.fetch.paths import target_path
from comfykit.fetch.urls import is_loopback, redact
from comfykit.home import KIND_ALIASES, MODEL_KINDS

_MAX_LINE_BYTES = 64 * 1024
_OTHER_ENCODINGS = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16", b"\x1f\x8b": "gzip"}
# aria2 has no option for a size, so that it stands in a comment of the entry.
_SIZE = re.compile(r"#+[ \t]*size=(?P<bytes>[1-9][0-9]{0,17})\s*")


@dataclass(slots=True)
class Parsed:
    """What a manifest's text holds: entries, what is wrong, and what is worth saying."""

    entries: list[ManifestEntry] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)


@dataclass(slots=True)
class _Draft:
    """An entry while its lines are read; `broken` once one of them cannot be used."""

    line: int
    urls: list[str]
    broken: bool
    options: dict[str, tuple[int, str]] = field(default_factory=dict)
    headers: list[tuple[str, str]] = field(default_factory=list)
    size: int | None = None


def parse(data: bytes, file: str) -> Parsed:
    """Entries of a manifest's bytes, with every problem in it; raises nothing. `file` is for messages."""
    return _Parser(file).run(data)


class _Parser:
    """The state between lines: the entry being read, and the last address that is commented out."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.result = Parsed()
        self.draft: _Draft | None = None
        self.commented_address = 0

    def run(self, data: bytes) -> Parsed:
        for number, text in self._lines(data):
            if text.startswith("#"):
                self._comment(number, text)
            elif not text.strip():
                continue
            elif text[0] in " \t":
                self._option(number, text.strip())
            else:
                self._address(number, text)
        self._finish()
        self.result.problems.sort(key=lambda problem: problem.line)
        return self.result

    def _lines(self, data: bytes) -> Iterator[tuple[int, str]]:
        """Numbered lines as text; a line that is no text is a problem and left out."""
        encoding = _OTHER_ENCODINGS.get(data[:2])
        if encoding:
            self._problem(0, f"is {encoding}, and a manifest is UTF-8 text", "convert it to UTF-8")
            return
        for number, line in enumerate(data.removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1):
            raw = line.removesuffix(b"\r")
            if len(raw) > _MAX_LINE_BYTES:
                self._problem(number, f"a line of {len(raw)} bytes; the longest is {_MAX_LINE_BYTES}")
                continue
            try:
                text = raw.decode("utf-8")
            except UnicodeDecodeError as error:
                self._problem(number, f"byte {error.start + 1} is not UTF-8", "save the file as UTF-8")
                text = raw.decode("utf-8", errors="replace")
            if not text.startswith("#") and not text.replace("\t", "").isprintable():
                self._problem(number, "a control or invisible character in the line")
            yield number, text

    def _comment(self, number: int, text: str) -> None:
        size = _SIZE.fullmatch(text)
        if COMMENTED.match(text):
            self.commented_address = number
        elif size and self.draft is not None and not self.commented_address:
            self.draft.size = int(size["bytes"])

    def _address(self, number: int, text: str) -> None:
        self._finish()
        self.commented_address = 0
        urls: list[str] = []
        broken = False
        for address in text.split("\t"):
            if not address.strip():
                continue
            try:
                url = read_address(address.strip(" "))
            except ValueError as error:
                broken = True
                self._problem(number, str(error), address_hint(address))
                continue
            if url not in urls:
                urls.append(url)
            if not is_pinned(url):
                self._warning(number, f"{redact(url)} names no version: whichever is the newest is fetched")
        self.draft = _Draft(number, urls, broken)

    def _option(self, number: int, text: str) -> None:
        if text.startswith("#"):
            self._problem(
                number,
                "'#' starts a comment only in the first column; aria2 reads this line as an option",
                "move the '#' to the first column",
            )
            return
        name, equals, value = text.removeprefix("--").partition("=")
        name, value = name.strip().lower(), value.strip()
        if START.match(text):
            self._problem(
                number,
                "an address that is indented; indented lines are options",
                "move it to the first column",
            )
        elif self.commented_address:
            self._problem(
                number,
                f"the option {name}= follows the commented-out address of line {self.commented_address}; "
                f"{self._aria2_takes()}",
                "comment out the whole entry, address and options",
            )
        elif self.draft is None:
            self._problem(number, f"the option {name}= stands before any address")
        elif not equals:
            self._refuse(number, f"{text!r} is no option: options are written name=value")
        else:
            self._take(self.draft, number, name, value)

    def _take(self, draft: _Draft, number: int, name: str, value: str) -> None:
        """Put an option to the entry that is being read."""
        refusal = why_refused(name)
        if refusal:
            self._refuse(number, f"the option {name}= {refusal}")
        elif not value:
            self._refuse(number, f"the option {name}= is empty")
        elif name in draft.options and name not in REPEATABLE:
            self._refuse(number, f"the option {name}= stands already in line {draft.options[name][0]}")
        else:
            draft.options[name] = (number, value)
            if name == "header":
                self._header(draft, number, value)
            elif name == "referer":
                self._header(draft, number, f"Referer: {value}")
            elif name in UNUSED:
                self._warning(number, f"the option {name}= is for aria2; comfykit does not use it")

    def _header(self, draft: _Draft, number: int, value: str) -> None:
        try:
            header = read_header(value)
        except ValueError as error:
            self._refuse(number, str(error))
            return
        draft.headers.append(header)
        first = draft.urls[0] if draft.urls else ""
        if is_secret_header(header[0]) and first.startswith("http:") and not is_loopback(first):
            self._refuse(number, f"the header {header[0]} could be read by others on its way; write https")

    def _finish(self) -> None:
        """Turn the entry that was read into a value, unless something in it is wrong."""
        draft, self.draft = self.draft, None
        if draft is None:
            return
        target = self._target(draft)
        sha256 = self._checksum(draft)
        user_agent = self._user_agent(draft)
        if target is None or draft.broken or not draft.urls:
            return
        self.result.entries.append(
            ManifestEntry(
                urls=tuple(draft.urls),
                target=target,
                file=self.file,
                line=draft.line,
                sha256=sha256,
                size=draft.size,
                headers=tuple(draft.headers),
                user_agent=user_agent,
            )
        )

    def _target(self, draft: _Draft) -> PurePosixPath | None:
        folder_line, folder = draft.options.get("dir", (draft.line, None))
        name_line, name = draft.options.get("out", (draft.line, None))
        if name is None:
            name = file_name(draft.urls[0]) if draft.urls else None
            if name is None:
                if not draft.broken:
                    self._problem(draft.line, "the address ends in no file name", "add a line out=NAME")
                return None
        if folder is None and "/" not in name:
            self._problem(
                draft.line,
                f"{name!r} has no folder",
                "add a line dir=models/KIND (checkpoints, loras, vae, ...)",
            )
            return None
        try:
            target = target_path(folder, name)
        except ValueError as error:
            self._problem(name_line if "out" in draft.options else folder_line, str(error))
            return None
        self._check_kind(folder_line, target.parts[0])
        return target

    def _check_kind(self, number: int, kind: str) -> None:
        """Warn of a folder that is nearly one that models are looked for in."""
        known = (*MODEL_KINDS, *KIND_ALIASES)
        near = difflib.get_close_matches(kind, known, n=1, cutoff=0.8)
        if kind not in known and near:
            self._warning(number, f"models/{kind} is no folder of models; did you mean models/{near[0]}?")

    def _checksum(self, draft: _Draft) -> str | None:
        number, value = draft.options.get("checksum", (0, None))
        if value is None:
            return None
        try:
            return read_checksum(value)
        except ValueError as error:
            self._refuse(number, str(error), draft)
            return None

    def _user_agent(self, draft: _Draft) -> str | None:
        number, value = draft.options.get("user-agent", (0, None))
        if value is not None and not (value.isascii() and value.isprintable()):
            self._refuse(number, "a user-agent is ASCII text", draft)
            return None
        return value

    def _aria2_takes(self) -> str:
        if self.draft is None:
            return "aria2 takes it for an address"
        return f"aria2 gives it to the entry of line {self.draft.line}"

    def _refuse(self, number: int, message: str, draft: _Draft | None = None) -> None:
        """A problem of an entry's option: the entry is not used."""
        draft = draft or self.draft
        if draft is not None:
            draft.broken = True
        self._problem(number, message)

    def _problem(self, number: int, message: str, hint: str | None = None) -> None:
        self.result.problems.append(Problem(self.file, number, message, hint))

    def _warning(self, number: int, message: str) -> None:
        self.result.warnings.append(Problem(self.file, number, message))
