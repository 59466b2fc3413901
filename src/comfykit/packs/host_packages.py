"""Python packages that packs import without listing them, because ComfyUI itself installs them.

A pack that reads videos lists nothing for `import av`: in ComfyUI it is there. Here such a package comes
where a pack's source imports it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from comfykit.packs.distributions import distribution_of
from comfykit.packs.requirement_lines import Requirement, read_requirement
from comfykit.packs.scan import LARGEST, sources

# What ComfyUI 0.3.64 needs, by the names that are imported.
_MODULES = (
    "aiohttp|alembic|av|einops|kornia|PIL|psutil|pydantic|pydantic_settings|requests|scipy|sentencepiece|"
    "soundfile|spandrel|sqlalchemy|tokenizers|torchaudio|torchsde|torchvision|tqdm|transformers|yaml|yarl"
)
_IMPORTS = re.compile(
    rb"^[ \t]*(?:from[ \t]+|import[ \t]+(?:[\w.]+(?:[ \t]+as[ \t]+\w+)?[ \t]*,[ \t]*)*)"
    rb"(" + _MODULES.encode() + rb")\b",
    re.MULTILINE,
)


def imported_from_host(pack: Path) -> Iterator[Requirement]:
    """A requirement for each such package that a pack imports, with the first line that does."""
    seen: set[str] = set()
    for file in sources(pack):
        try:
            data = file.read_bytes() if file.stat().st_size <= LARGEST else b""
        except OSError:
            continue
        for found in _IMPORTS.finditer(data):
            name = distribution_of(found[1].decode())
            if name not in seen:
                seen.add(name)
                line = data.count(b"\n", 0, found.start(1)) + 1
                where = file.name if file == pack else file.relative_to(pack).as_posix()
                yield read_requirement(name, pack=pack, file=where, line=line)
