"""What a failure means: one table from its cause to what is done next.

Every `TransferError` of a transfer has a cause in `facts["cause"]`, and `facts["wait"]` where the
server said how many seconds to wait.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from email.utils import parsedate_to_datetime
from enum import Enum
from time import time

from comfykit.errors import FetchError, TransferError


class Cause(Enum):
    """Why a request did not bring its bytes."""

    UNREACHABLE = "no connection"
    BROKEN = "the connection broke or ended early"
    STALLED = "nothing came, or a trickle"
    BUSY = "the server asks to come back later"
    EXPIRED = "the signed address is no longer valid"
    REFUSED = "it wants a login or a licence"
    MISSING = "no such file"
    NO_RANGES = "the whole file came when a part was asked for"
    CHANGED = "the file on the server has changed"
    WRONG = "what came cannot be the file"
    ODD = "an answer that must not be used"


class Action(Enum):
    """What is done about a failure."""

    AGAIN = "ask the same address again, after a pause"
    RESOLVE = "ask the first address for a new link"
    NEXT = "give this source up and ask the next"
    RESTART = "throw away what is there and begin again"
    STREAM = "begin again with one connection and no parts"


TABLE: Mapping[Cause, Action] = {
    Cause.UNREACHABLE: Action.AGAIN,
    Cause.BROKEN: Action.AGAIN,
    Cause.STALLED: Action.AGAIN,
    Cause.BUSY: Action.AGAIN,
    Cause.EXPIRED: Action.RESOLVE,
    Cause.REFUSED: Action.NEXT,
    Cause.MISSING: Action.NEXT,
    Cause.NO_RANGES: Action.STREAM,
    Cause.CHANGED: Action.RESTART,
    Cause.WRONG: Action.NEXT,
    Cause.ODD: Action.NEXT,
}

# Statuses of a server that is there and cannot answer now; all other 4xx and 5xx are final.
BUSY = frozenset({408, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524})
# What object stores answer to a signed address whose time is over.
EXPIRED = frozenset({400, 401, 403, 404, 410})


def fault(cause: Cause, message: str, hint: str | None = None, **facts: object) -> TransferError:
    """A `TransferError` with its cause."""
    return TransferError(message, hint=hint, cause=cause, **facts)


def cause_of(error: FetchError) -> Cause:
    """The cause of an error; bytes that were judged wrong have none of their own."""
    cause = error.facts.get("cause")
    return cause if isinstance(cause, Cause) else Cause.WRONG


def pause(
    error: FetchError, strikes: int, base: float, longest: float, chance: Callable[[], float] = random.random
) -> float:
    """Seconds to wait after the `strikes`-th failure in a row.

    What the server asked for, else twice as long each time; half of it by chance, so that connections
    that broke together do not come back together.
    """
    asked = error.facts.get("wait")
    if isinstance(asked, int | float):
        return min(max(float(asked), 0.0), longest)
    doubled = min(base * 2 ** min(max(strikes - 1, 0), 16), longest)
    return float(doubled * (0.5 + chance() / 2))


def read_retry_after(headers: Mapping[str, str], now: Callable[[], float] = time) -> float | None:
    """Seconds that a server asks to wait: `Retry-After` as seconds or a date, or `t=` of `RateLimit`."""
    text = headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:10])
    if text:
        try:
            return max(parsedate_to_datetime(text).timestamp() - now(), 0.0)
        except (ValueError, OverflowError):
            return None
    for part in headers.get("RateLimit", "").replace(",", ";").split(";"):
        name, _, value = part.strip().partition("=")
        if name == "t" and value.isascii() and value.isdigit():
            return float(value[:10])
    return None


def joined(failures: Sequence[FetchError]) -> FetchError:
    """One error for a file that no source could give."""
    if len(failures) == 1:
        return failures[0]
    hints = [failure.hint for failure in failures if failure.hint]
    kinds = {type(failure) for failure in failures}
    kind = kinds.pop() if len(kinds) == 1 else TransferError
    words = "; ".join(dict.fromkeys(map(str, failures)))
    return kind(words, hint=hints[0] if hints else None)
