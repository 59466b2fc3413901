"""Which pack it is: some are switched off, something is tried, and half of the suspects are cleared."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from comfykit.errors import PackError
from comfykit.packs.installed import Pack, path_of
from comfykit.services.pack_changes import Workbench

# Whether all is well with the packs of these names, and no others, on.
IsGood = Callable[[Collection[str]], bool]


def bisect_packs(work: Workbench, packs: Sequence[Pack], is_good: IsGood) -> list[str]:
    """The pack that breaks something; several where only they together do.

    Packs are switched off for a try and are all on again at the end, also where the process is killed and
    another one comes. Raises `PackError` where it is no pack, or nothing is broken.
    """
    on: dict[str, Pack] = {pack.name: pack for pack in packs if pack.enabled}
    state = dict.fromkeys(on, True)

    def tried(names: Collection[str]) -> bool:
        for name in on:
            wanted = name in names
            if state[name] != wanted:
                old = path_of(work.home, name, enabled=not wanted)
                work.transaction.rename(old, path_of(work.home, name, enabled=wanted))
                state[name] = wanted
        return is_good(names)

    try:
        return search(list(on), tried)
    finally:
        work.end()


def search(names: Sequence[str], is_good: IsGood) -> list[str]:
    """The fewest names that spoil it, by halves. Raises `PackError` where that cannot be found out."""
    if not names:
        raise PackError("no pack is on, so that it is none of them")
    if not is_good(()):
        raise PackError("it fails without any pack, so that it is none of them")
    if is_good(names):
        raise PackError("it works with all packs on, so that there is nothing to look for")
    return _search(list(names), [], is_good)


def _search(suspects: list[str], guilty: list[str], is_good: IsGood) -> list[str]:
    """Delta debugging (Zeller and Hildebrandt 2002): `suspects` with `guilty` fail, `guilty` alone do not."""
    if len(suspects) == 1:
        return suspects
    half = len(suspects) // 2
    first, second = suspects[:half], suspects[half:]
    if not is_good([*guilty, *first]):
        return _search(first, guilty, is_good)
    if not is_good([*guilty, *second]):
        return _search(second, guilty, is_good)
    one = _search(first, [*guilty, *second], is_good)
    return one + _search(second, [*guilty, *one], is_good)
