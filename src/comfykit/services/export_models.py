"""A manifest of what is installed, with checksums, that fetches the same again on another machine."""

from __future__ import annotations

from collections.abc import Sequence

from comfykit.fetch.catalog import entry_for
from comfykit.fetch.parse import parse
from comfykit.services.models import Model


def export_manifest(models: Sequence[Model]) -> tuple[str, list[Model]]:
    """The text of a manifest, and the models in it that have no address and stand there as comments.

    Models are expected with their hashes. Files of the package are left out; one of two files of the
    same name, the one that workflows do not get, is too.
    """
    lines = ["# Models of a comfykit home, by comfykit models export.", ""]
    homeless: list[Model] = []
    seen: set[str] = set()
    for model in models:
        if model.packaged or model.title in seen:
            continue
        seen.add(model.title)
        text = _entry(model)
        if text is None:
            homeless.append(model)
            text = f"# models/{model.title}: its source is not known ({_facts(model)})\n"
        lines.append(text)
    return "\n".join(lines), homeless


def _entry(model: Model) -> str | None:
    """Lines of an entry; None without an address, or for a name that a manifest cannot hold."""
    urls, needs = _addresses(model)
    if not urls:
        return None
    folder, _, name = f"models/{model.target or model.title}".rpartition("/")
    lines = ["\t".join(urls), f"  dir={folder}", f"  out={name}"]
    if model.sha256:
        lines.append(f"  checksum=sha-256={model.sha256}")
    lines.append(f"# size={model.size}")
    if needs:
        lines.append(f"# fetched with the header {' and '.join(needs)}, which is not written here")
    text = "\n".join(lines) + "\n"
    parsed = parse(text.encode(), "export")
    return text if parsed.entries and not parsed.problems else None


def _addresses(model: Model) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Where these very bytes came from, or may come from by a list that ships; headers that it took."""
    if model.source and model.provenance:
        return model.provenance.urls, model.provenance.needs
    listed = entry_for(model.kind, model.name)
    if listed is not None and listed.sha256 and listed.sha256 == model.sha256:
        return listed.urls, ()
    return (), ()


def _facts(model: Model) -> str:
    return f"{model.size} bytes" + (f", sha-256 {model.sha256}" if model.sha256 else "")
