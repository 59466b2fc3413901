"""Bringing the models that a lock names."""

from __future__ import annotations

import io
from collections.abc import Sequence

from comfykit.errors import FetchError
from comfykit.events import PackStep, Reporter
from comfykit.fetch.guide import Guide
from comfykit.packs.lock import LockedModel
from comfykit.services.install_models import install_models
from comfykit.services.plan_models import plan_models
from comfykit.settings import Settings


def bring_models(models: Sequence[LockedModel], settings: Settings, guide: Guide, reporter: Reporter) -> None:
    """Fetch them, each from its sources and with its checksum. Raises `FetchError` where some fail."""
    reporter(PackStep("", f"fetching {len(models)} model{'s' if len(models) > 1 else ''}"))
    text = "".join(map(_manifest_entry, models))
    steps = plan_models(settings.home, ["-"], guide=guide, stdin=io.BytesIO(text.encode()))
    outcomes = install_models(settings, steps, guide=guide, reporter=reporter)
    failed = [outcome for outcome in outcomes if outcome.status == "failed"]
    if failed:
        raise FetchError(
            "; ".join(f"{outcome.entry.path}: {outcome.note}" for outcome in failed),
            hint=failed[0].hint,
        )


def _manifest_entry(model: LockedModel) -> str:
    folder, _, name = model.path.rpartition("/")
    lines = ["\t".join(model.sources), f"  dir=models/{folder}", f"  out={name}"]
    lines += [f"  checksum=sha-256={model.sha256}"] if model.sha256 else []
    return "\n".join(lines) + "\n"
