from __future__ import annotations

from comfykit.engine.cache import Cache, Entry, NewestCache, NoCache


def test_the_default_keeps_what_the_present_workflow_uses() -> None:
    cache = Cache()
    cache.put("a", Entry(([1],)))
    cache.put("b", Entry(([2],)))
    cache.begin({"b", "c"})
    assert cache.get("a") is None
    assert cache.get("b") == Entry(([2],))


def test_the_newest_stay() -> None:
    cache = NewestCache(2)
    for key in "ab":
        cache.put(key, Entry(()))
    assert cache.get("a") is not None  # used now, so b is the oldest
    cache.put("c", Entry(()))
    cache.begin(set())
    assert [cache.get(key) is not None for key in "abc"] == [True, False, True]


def test_nothing_stays() -> None:
    cache = NoCache()
    cache.put("a", Entry(()))
    assert cache.get("a") is None
    assert len(cache) == 0
