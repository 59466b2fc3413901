"""What all transfers of a run share: connections, limits, and what is known of hosts."""

from __future__ import annotations

from dataclasses import dataclass

from comfykit.fetch.history import History
from comfykit.fetch.limits import Limits
from comfykit.fetch.rate import Gates, Throttle
from comfykit.fetch.wire import Wire


@dataclass(frozen=True, slots=True)
class Tools:
    """What all transfers of a run share."""

    wire: Wire
    gates: Gates
    throttle: Throttle
    limits: Limits
    history: History
