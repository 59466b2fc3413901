"""Where packs believe that ComfyUI lies: beside its modules.

They take the folder of `folder_paths.__file__`, or of the file that `PromptServer` is in, for ComfyUI's own,
and read and write below it. That folder is the home; there are no such files in it.
"""

from __future__ import annotations

from comfykit.compat import running


def file_in_home(module: str, attribute: str) -> str:
    """What a host module answers for `__file__`, having none of its own; `AttributeError` for the rest."""
    if attribute != "__file__":
        raise AttributeError(attribute)
    return str(running.settings().home.root / f"{module}.py")
