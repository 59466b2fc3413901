"""What a killed installation left behind is taken back by whatever command comes next."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from comfykit.cli.output import Output
    from comfykit.settings import Settings


def recover_packs(settings: Settings, output: Output) -> None:
    """Finish the roll-back of a change of packs that was cut off, if there is one."""
    from comfykit.packs.transaction import is_unfinished

    if is_unfinished(settings.home):
        from comfykit.cli.pack_plans import reporter_for
        from comfykit.services.pack_changes import finish_interrupted

        finish_interrupted(settings, reporter_for(output))
