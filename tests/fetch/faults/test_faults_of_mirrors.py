"""Several sources of one file: dead ones, slow ones, liars, and files that change while they come."""

from __future__ import annotations

import re
import threading

import pytest
from fault_answers import by_turn, given_up_at, stalling_at, trickling
from fault_server import Exchange, Handler
from fault_stage import NAME, Stage, check_home, check_secrets, entry, with_both_backends
from stored_file import Stored, model

DATA = model(3_000_000)
LIE = model(3_000_000, seed=1)  # as long, and other bytes
DATES = ("Wed, 21 Oct 2015 07:28:00 GMT", "Thu, 22 Oct 2015 07:28:00 GMT")


@with_both_backends
def test_the_first_is_dead_the_second_stalls_the_third_serves(stage: Stage) -> None:
    stalls, serves = stage.site(), stage.site()
    dead = stage.site()
    dead.close()
    stalls.routes["/m"] = stalling_at(Stored(DATA), 1_000_000)
    serves.routes["/m"] = Stored(DATA, etag='"three"')
    addresses = [f"{site.url}/m" for site in (dead, stalls, serves)]
    finished = stage.run(stage.write(entry(*addresses, data=DATA)))
    assert finished.code == 0, finished.told()
    assert stage.path().read_bytes() == DATA
    check_home(stage, {NAME: DATA})


@with_both_backends
@pytest.mark.parametrize("liars", [1, 2])
def test_a_liar_is_named_and_another_asked(stage: Stage, liars: int) -> None:
    lying = [stage.site() for _ in range(liars)]
    for site in lying:
        site.routes["/m"] = Stored(LIE)
    honest = stage.site()
    honest.routes["/m"] = Stored(DATA, etag='"two"')
    addresses = [f"{site.url}/m" for site in (*lying, honest)]
    finished = stage.run(stage.write(entry(*addresses, data=DATA)))
    assert finished.code == 0, finished.told()
    assert stage.path().read_bytes() == DATA
    check_home(stage, {NAME: DATA})
    assert f"127.0.0.1:{lying[0].port}" in finished.told()


@with_both_backends
def test_a_liar_that_breaks_halfway_does_not_spoil_the_honest_one(stage: Stage) -> None:
    """Half of the bytes are wrong, which nothing tells before the whole file is there."""
    liar, honest = stage.site(), stage.site()
    liar.routes["/m"] = given_up_at(Stored(LIE), 1_500_000)
    honest.routes["/m"] = Stored(DATA, etag='"two"')
    finished = stage.run(stage.write(entry(f"{liar.url}/m", f"{honest.url}/m", data=DATA)))
    assert finished.code == 0, finished.told()
    assert stage.path().read_bytes() == DATA
    check_home(stage, {NAME: DATA})


@with_both_backends
def test_when_all_say_the_same_other_bytes_the_checksum_is_doubted(stage: Stage) -> None:
    sites = [stage.site(), stage.site()]
    for site in sites:
        site.routes["/m"] = Stored(LIE)
    finished = stage.run(stage.write(entry(*(f"{site.url}/m" for site in sites), data=DATA)))
    assert finished.code == 1
    assert not stage.path().exists()
    check_home(stage, {})
    assert re.search("checksum in the manifest", finished.told())


@with_both_backends
@pytest.mark.parametrize("fault", [stalling_at, given_up_at], ids=["stalls", "breaks"])
def test_without_a_checksum_bytes_of_two_mirrors_are_never_mixed(stage: Stage, fault: object) -> None:
    """Both have a file of the same length, and nothing says which is right: it is one of them."""
    one, two = stage.site(), stage.site()
    one.routes["/m"] = fault(Stored(LIE), 1_500_000)  # type: ignore[operator]
    two.routes["/m"] = Stored(DATA, etag='"two"')
    finished = stage.run(stage.write(entry(f"{one.url}/m", f"{two.url}/m")))
    assert finished.code == 0, finished.told()
    assert stage.path().read_bytes() in (DATA, LIE)


@with_both_backends
@pytest.mark.parametrize("make", [stalling_at, trickling])
def test_a_source_that_is_too_slow_is_left(stage: Stage, make: object) -> None:
    slow, quick = stage.site(), stage.site()
    slow.routes["/m"] = make(Stored(DATA), 50_000)  # type: ignore[operator]
    quick.routes["/m"] = Stored(DATA, etag='"two"')
    finished = stage.run(stage.write(entry(f"{slow.url}/m", f"{quick.url}/m", data=DATA)))
    assert finished.code == 0, finished.told()
    assert stage.path().read_bytes() == DATA


def replaced(first: Stored, second: Stored) -> Handler:
    """The first file until a piece of it was asked for, from then on the second."""
    asked = threading.Event()

    def handler(exchange: Exchange) -> None:
        start, end = first.span(exchange) or (0, len(first.data))
        current = second if asked.is_set() else first
        if end - start > 10_000:
            asked.set()
        current(exchange)

    return handler


@with_both_backends
@pytest.mark.parametrize("checked", [True, False], ids=["checked", "unchecked"])
@pytest.mark.parametrize(
    ("first", "second"),
    [
        (Stored(LIE), Stored(DATA, etag='"two"')),
        (Stored(LIE, None, DATES[0]), Stored(DATA, None, DATES[1])),
        (Stored(LIE[:2_000_000]), Stored(DATA, etag='"two"')),
    ],
    ids=["etag", "modified", "size"],
)
def test_a_file_that_is_replaced_between_two_pieces_starts_again(
    stage: Stage, first: Stored, second: Stored, checked: bool
) -> None:
    site = stage.site()
    site.routes["/m"] = replaced(first, second)
    finished = stage.run(stage.write(entry(f"{site.url}/m", data=DATA if checked else None)))
    if finished.code == 0:
        assert stage.path().read_bytes() in ([DATA] if checked else [DATA, first.data])
    check_home(stage, {NAME: stage.path().read_bytes() if stage.path().exists() else DATA})
    if checked:
        again = stage.run(stage.write(entry(f"{site.url}/m", data=DATA)))
        assert again.code == 0, again.told()
        assert stage.path().read_bytes() == DATA


@with_both_backends
def test_a_file_that_changes_with_every_piece_is_given_up(stage: Stage) -> None:
    def version(turn: int) -> Handler:
        return Stored(model(3_000_000, seed=turn), etag=f'"{turn}"')

    site = stage.site()
    site.routes["/m"] = by_turn(Stored(DATA), version)
    finished = stage.run(stage.write(entry(f"{site.url}/m")))
    if finished.code == 0:  # one request was enough for one version
        assert stage.path().read_bytes() in [model(3_000_000, seed=turn) for turn in range(40)]
    else:
        assert re.search("chang|another one", finished.told())
        check_home(stage, {})


@with_both_backends
def test_a_signed_link_that_expires_is_asked_for_again(stage: Stage) -> None:
    """Each link serves ten requests, as one does that is valid for a short time."""
    hub, store = stage.site(), stage.site()
    links: dict[str, int] = {}

    def sign(exchange: Exchange) -> None:
        link = f"/signed?X-Sig={len(links)}"
        links[link] = 0
        exchange.answer(302, b"", [("Location", f"{store.url}{link}")])

    def serve(exchange: Exchange) -> None:
        links[exchange.request.target] += 1
        if links[exchange.request.target] > 10:
            exchange.answer(403, b"<Error>expired</Error>", [("Content-Type", "application/xml")])
        else:
            Stored(DATA)(exchange)

    hub.routes["/m"] = sign
    store.routes["/signed"] = serve
    finished = stage.run(stage.write(entry(f"{hub.url}/m", data=DATA)))
    assert finished.code == 0, finished.told()
    assert stage.path().read_bytes() == DATA
    check_secrets(stage, finished)
