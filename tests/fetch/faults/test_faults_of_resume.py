"""A transfer that failed halfway and is run again: what is there is used when it is sure, and only then."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from fault_answers import at_first, chunked, given_up_at, gzipped, never_satisfied, page, ranged, said
from fault_server import Handler, Site
from fault_stage import NAME, Done, Stage, check_home, check_secrets, entry, with_both_backends
from stored_file import Stored, model

DATA = model(2_000_000)
CHANGED = model(2_000_000, seed=1)
LONGER = model(2_100_000, seed=2)
HALF = 1_000_000
PART = NAME.replace("m.safetensors", ".m.safetensors.part")


@pytest.fixture
def site(stage: Stage) -> Site:
    """A site whose transfer of DATA has broken halfway, with the partial file and journal that this left."""
    site = stage.site()
    site.routes["/m"] = given_up_at(Stored(DATA), HALF)
    failed = stage.run(stage.write(entry(f"{site.url}/m", data=DATA)))
    assert failed.code == 1
    assert set(stage.files()) >= {PART, f"{PART}.json"}, failed.told()
    assert NAME not in stage.files()
    stage.capture.sent.clear()
    return site


def again(stage: Stage, site: Site, handler: Handler, data: bytes | None = DATA) -> Done:
    """Run again against a server that has changed; `data` has the checksum that the manifest names."""
    site.routes["/m"] = handler
    finished = stage.run(stage.write(entry(f"{site.url}/m", data=data)))
    check_secrets(stage, finished)
    return finished


@with_both_backends
def test_only_what_lacks_is_fetched(stage: Stage, site: Site) -> None:
    finished = again(stage, site, Stored(DATA))
    assert finished.code == 0, finished.told()
    check_home(stage, {NAME: DATA})
    assert stage.path().read_bytes() == DATA
    assert stage.capture.sent["/m"] <= len(DATA) - HALF * 3 // 4


@with_both_backends
@pytest.mark.parametrize(
    "make",
    [
        lambda s: s.but(ranges=False),
        lambda s: s.but(etag=None, ranges=False),
        lambda s: at_first(1, never_satisfied(s), s),
        chunked,
        lambda s: s.but(etag='"two"'),
        lambda s: s.but(etag=None, modified="Wed, 21 Oct 2015 07:28:00 GMT"),
    ],
    ids=["ranges ignored", "no ranges, no etag", "416 once", "chunked", "other etag", "other validator"],
)
def test_another_server_for_the_same_bytes(
    stage: Stage, site: Site, make: Callable[[Stored], Handler]
) -> None:
    finished = again(stage, site, make(Stored(DATA)))
    assert finished.code == 0, finished.told()
    assert stage.path().read_bytes() == DATA
    check_home(stage, {NAME: DATA})


@with_both_backends
@pytest.mark.parametrize(
    "make",
    [
        lambda s: page(),
        lambda s: said(403),
        lambda s: said(404),
        never_satisfied,
        gzipped,
        lambda s: ranged(s, "bytes {next}-{last}/{total}", shift=1),
        lambda s: s.but(data=CHANGED, etag='"two"'),
        lambda s: s.but(data=CHANGED),
        lambda s: s.but(data=LONGER, etag='"three"'),
        lambda s: s.but(data=DATA[:HALF], etag='"four"'),
    ],
    ids=[
        "page",
        "403",
        "404",
        "416",
        "gzip",
        "shifted",
        "other bytes",
        "other bytes with the same etag",
        "longer",
        "shorter",
    ],
)
def test_a_server_that_has_the_file_no_longer(
    stage: Stage, site: Site, make: Callable[[Stored], Handler]
) -> None:
    """It fails, nothing wrong gets the name, and once the file is back it ends right."""
    failed = again(stage, site, make(Stored(DATA)))
    assert failed.code == 1
    check_home(stage, {})
    finished = again(stage, site, Stored(DATA))
    assert finished.code == 0, finished.told()
    assert stage.path().read_bytes() == DATA


@with_both_backends
def test_a_file_that_changed_meanwhile_starts_again_and_that_is_said(stage: Stage, site: Site) -> None:
    finished = again(stage, site, Stored(CHANGED, etag='"two"'), data=None)
    assert finished.code == 0, finished.told()
    assert stage.path().read_bytes() == CHANGED
    assert re.search("chang|another one", finished.told())


@with_both_backends
def test_another_mirror_goes_on_where_the_first_broke(stage: Stage, site: Site) -> None:
    other = stage.site()
    other.routes["/other"] = Stored(DATA, etag='"elsewhere"')
    del site.routes["/m"]
    finished = stage.run(stage.write(entry(f"{site.url}/m", f"{other.url}/other", data=DATA)))
    assert finished.code == 0, finished.told()
    assert stage.path().read_bytes() == DATA
    assert stage.capture.sent["/other"] <= len(DATA) - HALF * 3 // 4


def scribble(path: Path) -> None:
    path.write_bytes(b"\0" * 4096)


def newer(path: Path) -> None:
    head, *lines = path.read_text().splitlines()
    path.write_text("\n".join([json.dumps({**json.loads(head), "version": 99}), *lines]))


def torn(path: Path) -> None:
    """The first line whole and the second cut off."""
    head, _, rest = path.read_bytes().partition(b"\n")
    path.write_bytes(head + b"\n" + rest[: len(rest) // 3].rpartition(b"\n")[2][:7])


def beyond(path: Path) -> None:
    head = path.read_text().splitlines()[0]
    path.write_text(f'{head}\n{{"flushed": [[0, {10**15}]]}}\n')


def linked(path: Path) -> None:
    aside = path.with_name("elsewhere.json")
    path.rename(aside.parent.parent.parent.parent / aside.name)
    path.symlink_to(aside.parent.parent.parent.parent / aside.name)


@with_both_backends
@pytest.mark.parametrize(
    "harm", [scribble, newer, torn, beyond, linked, Path.unlink, lambda path: path.write_bytes(b"")]
)
def test_a_journal_that_cannot_be_used(stage: Stage, site: Site, harm: Callable[[Path], object]) -> None:
    harm(stage.path(f"{PART}.json"))
    finished = again(stage, site, Stored(DATA))
    assert finished.code == 0, finished.told()
    assert stage.path().read_bytes() == DATA
    check_home(stage, {NAME: DATA})


def foreign(path: Path) -> None:
    """Bytes of another file where the journal speaks of this one: only the checksum can tell."""
    path.write_bytes(CHANGED[: path.stat().st_size])


def shorter(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(10_000)


def larger(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"x" * 5_000_000)


@with_both_backends
@pytest.mark.parametrize("harm", [foreign, shorter, larger, Path.unlink], ids=lambda harm: harm.__name__)
def test_a_partial_file_that_is_not_what_its_journal_says(
    stage: Stage, site: Site, harm: Callable[[Path], object]
) -> None:
    """With a checksum it ends right, at the latest when it is run again."""
    harm(stage.path(PART))
    finished = again(stage, site, Stored(DATA))
    check_home(stage, {NAME: DATA})
    if finished.code:
        assert "sha-256" in finished.told()
        finished = again(stage, site, Stored(DATA))
    assert finished.code == 0, finished.told()
    assert stage.path().read_bytes() == DATA


@with_both_backends
def test_a_partial_file_of_another_address_without_a_checksum_is_not_used(stage: Stage, site: Site) -> None:
    other = stage.site()
    other.routes["/other"] = Stored(CHANGED, etag='"one"')
    finished = stage.run(stage.write(entry(f"{other.url}/other")))
    assert finished.code == 0, finished.told()
    assert stage.path().read_bytes() == CHANGED
