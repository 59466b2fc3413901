"""Write docs/doctor/, a page for every kind of finding: python tools/doctor_pages.py [FOLDER]."""

from __future__ import annotations

import sys
from pathlib import Path

from comfykit.doctor.catalogue import Entry, catalogue

FOLDER = Path(__file__).parents[1] / "docs" / "doctor"


def page(entry: Entry) -> str:
    lines = [
        f"# {entry.code}: {entry.title}",
        "",
        f"Check `{entry.check}`, {entry.status}.",
        "",
        "## Why it matters",
        "",
        entry.why,
        "",
        "## How it is seen",
        "",
        f"{_upper(entry.seen)}.",
        "",
        "## What to do",
        "",
        f"{_upper(entry.fix)}." if not entry.fix.endswith(".") else _upper(entry.fix),
        "`comfykit doctor` prints commands that fit the machine, where there are some.",
        "",
    ]
    if entry.patterns:
        lines += [
            "## What programs say",
            "",
            "Errors that match one of these are explained by this finding:",
            "",
        ]
        lines += [f"- `{pattern.pattern}`" for pattern in entry.patterns]
        lines.append("")
    if entry.sources:
        lines += ["## Sources", "", *(f"- <{source}>" for source in entry.sources), ""]
    return "\n".join(lines)


def index() -> str:
    rows = [
        f"| [{code}]({code}.md) | {entry.check} | {entry.status} | {entry.title} |"
        for code, entry in catalogue().items()
    ]
    head = [
        "# Findings of comfykit doctor",
        "",
        "Written by `tools/doctor_pages.py` from `assets/findings.toml`.",
        "",
    ]
    return "\n".join([*head, "| code | check | status | |", "|---|---|---|---|", *rows, ""])


def pages() -> dict[str, str]:
    """Name and content of every page."""
    return {"README.md": index(), **{f"{code}.md": page(entry) for code, entry in catalogue().items()}}


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.md"):
        old.unlink()
    for name, text in pages().items():
        (folder / name).write_text(text, encoding="utf-8")


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)
