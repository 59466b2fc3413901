"""Where a home keeps packs, and what comfykit knows of them.

HOME/comfykit.lock                 what the home has
HOME/custom_nodes/NAME             a pack; NAME.disabled is one that is not loaded
HOME/.comfykit/packs/installed.json   where each pack came from
                    /packages.json  Python packages that were installed for packs
                    /journal.json     a change that is under way, or was cut off
                    /staging/         packs on their way in
                    /snapshots/ID/    the home before a change, with the packs that it replaced
"""

from __future__ import annotations

from pathlib import Path

from comfykit.home import Home


def packs_folder(home: Home) -> Path:
    """The folder whose entries are packs."""
    return home.root / "custom_nodes"


def state_folder(home: Home) -> Path:
    """What comfykit keeps about packs."""
    return home.root / ".comfykit" / "packs"
