"""Who is told a token: every request of every site is captured, and every word and file is searched."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from fault_answers import cut, given_up_at, page, said, to
from fault_server import Exchange, Handler, Request
from fault_stage import NAME, SECRET, Stage, check_home, check_secrets, entry, with_both_backends
from stored_file import Stored, model

DATA = model()
BEARER = f"header=Authorization: Bearer {SECRET}"


def only(*origins: str) -> Callable[[Request], bool]:
    return lambda request: request.origin in origins


@with_both_backends
def test_a_header_stays_at_the_first_origin_of_a_chain(stage: Stage) -> None:
    """Another port of the same machine is another origin; a store refuses foreign tokens anyway."""
    hub, store = stage.site(), stage.site()
    hub.routes["/m"] = to("/moved", 307)
    hub.routes["/moved"] = to(f"{store.url}/signed?X-Sig=1")
    store.routes["/signed"] = strict(Stored(DATA))
    options = (BEARER, f"header=X-Key: {SECRET}")
    finished = stage.run(stage.write(entry(f"{hub.url}/m", data=DATA, options=options)))
    assert finished.code == 0, finished.told()
    assert stage.path().read_bytes() == DATA
    check_secrets(stage, finished, only(hub.url))
    assert all(SECRET in request.headers["authorization"] for request in stage.capture.of(hub))
    assert stage.capture.of(store)


def strict(stored: Stored) -> Handler:
    """As object stores do: 400 to whoever brings an Authorization of somebody else."""

    def handler(exchange: Exchange) -> None:
        if "authorization" in exchange.request.headers:
            exchange.answer(400)
        else:
            stored(exchange)

    return handler


@with_both_backends
def test_a_chain_that_returns_to_its_start_does_not_make_others_trusted(stage: Stage) -> None:
    hub, store = stage.site(), stage.site()
    hub.routes["/m"] = to(f"{store.url}/a")
    store.routes["/a"] = to(f"{hub.url}/b")
    hub.routes["/b"] = to(f"{store.url}/c")
    store.routes["/c"] = Stored(DATA)
    finished = stage.run(stage.write(entry(f"{hub.url}/m", data=DATA, options=(BEARER,))))
    assert finished.code == 0, finished.told()
    check_secrets(stage, finished, only(hub.url))


@with_both_backends
def test_other_mirrors_of_an_entry_are_strangers(stage: Stage) -> None:
    hub, other = stage.site(), stage.site()
    other.routes["/m"] = Stored(DATA)
    finished = stage.run(stage.write(entry(f"{hub.url}/m", f"{other.url}/m", data=DATA, options=(BEARER,))))
    assert finished.code == 0, finished.told()
    check_secrets(stage, finished, only(hub.url))
    assert stage.capture.of(other)


FAULTS: dict[str, Callable[[Stored], Handler]] = {
    "right": lambda stored: stored,
    "reset": lambda stored: cut(stored, Exchange.reset),
    "halfway": lambda stored: given_up_at(stored, 100_000),
    "401": lambda stored: said(401),
    "403": lambda stored: said(403, f"no {SECRET}".encode(), ("Content-Type", "text/plain")),
    "page": lambda stored: page(),
    "loop": lambda stored: to("/m?token=" + SECRET),
    "elsewhere": lambda stored: to("ftp://a.example/?token=" + SECRET),
    "other bytes": lambda stored: stored.but(data=model(seed=3)),
}


@with_both_backends
@pytest.mark.parametrize("fault", FAULTS)
def test_a_token_in_a_query_is_in_no_word_and_no_file(stage: Stage, fault: str) -> None:
    site = stage.site()
    site.routes["/m"] = FAULTS[fault](Stored(DATA))
    finished = stage.run(stage.write(entry(f"{site.url}/m?token={SECRET}", data=DATA)))
    check_secrets(stage, finished, only(site.url))
    check_home(stage, {NAME: DATA})
    assert finished.code == (0 if fault == "right" else 1)


@with_both_backends
@pytest.mark.parametrize("fault", FAULTS)
def test_a_token_in_a_header_is_in_no_word_and_no_file(stage: Stage, fault: str) -> None:
    site = stage.site()
    site.routes["/m"] = FAULTS[fault](Stored(DATA))
    finished = stage.run(stage.write(entry(f"{site.url}/m", data=DATA, options=(BEARER,))))
    check_secrets(stage, finished, only(site.url))
    check_home(stage, {NAME: DATA})


def test_without_json_nothing_is_said_either(stage: Stage) -> None:
    site = stage.site()
    site.routes["/m"] = said(403)
    manifest = stage.write(entry(f"{site.url}/m?token={SECRET}", options=(BEARER,)))
    finished = stage.run(manifest, json_lines=False)
    assert finished.code == 1
    assert "403" in finished.out + finished.err
    check_secrets(stage, finished, only(site.url))


@pytest.mark.parametrize("variable", ["HF_TOKEN", "CIVITAI_TOKEN", "CIVITAI_API_TOKEN"])
@pytest.mark.parametrize("rewriter", ["COMFYKIT_MIRRORS", "HF_ENDPOINT", "comfykit.toml"])
def test_a_token_of_a_hub_is_not_for_its_mirrors(stage: Stage, variable: str, rewriter: str) -> None:
    """Mirrors are strangers in the middle, however they were named."""
    mirror = stage.site()
    mirror.fallback = Stored(DATA)
    hub = "https://civitai.com/" if variable.startswith("CIVITAI") else "https://huggingface.co/"
    env = {variable: SECRET}
    stage.home.mkdir()
    if rewriter == "comfykit.toml":
        rule = f'[[mirrors]]\nfrom = "{hub}"\nto = "{mirror.url}/"\ninstead = true\n'
        (stage.home / "comfykit.toml").write_text(rule)
    elif rewriter == "HF_ENDPOINT" and variable == "HF_TOKEN":
        env["HF_ENDPOINT"] = mirror.url
    else:
        env["COMFYKIT_MIRRORS"] = f"{hub}={mirror.url}/"
    finished = stage.run(stage.write(entry(f"{hub}o/r/resolve/main/m.safetensors", data=DATA)), env=env)
    assert finished.code == 0, finished.told()
    assert stage.capture.of(mirror)
    check_secrets(stage, finished)


@with_both_backends
def test_a_token_for_a_host_goes_to_that_host_alone(stage: Stage) -> None:
    """From comfykit.toml, for an origin of this machine, and on to a store that must not see it."""
    hub, store = stage.site(), stage.site()
    hub.routes["/m"] = to(f"{store.url}/m")
    store.routes["/m"] = strict(Stored(DATA))
    stage.home.mkdir()
    settings = stage.home / "comfykit.toml"
    settings.write_text(f'[tokens]\n"{hub.url}" = "{SECRET}"\n')
    settings.chmod(0o600)
    finished = stage.run(stage.write(entry(f"{hub.url}/m", data=DATA)))
    assert finished.code == 0, finished.told()
    check_secrets(stage, finished, only(hub.url))
    assert all(SECRET in request.headers["authorization"] for request in stage.capture.of(hub))


def test_a_settings_file_that_others_can_read_gives_no_token(stage: Stage) -> None:
    hub = stage.site()
    hub.routes["/m"] = Stored(DATA)
    stage.home.mkdir()
    settings = stage.home / "comfykit.toml"
    settings.write_text(f'[tokens]\n"{hub.url}" = "{SECRET}"\n')
    settings.chmod(0o644)
    finished = stage.run(stage.write(entry(f"{hub.url}/m", data=DATA)))
    assert finished.code == 2
    assert re.search("600|others", finished.told())
    assert stage.capture.requests == []
    check_secrets(stage, finished)


def test_cookies_are_not_carried(stage: Stage) -> None:
    site = stage.site()
    site.routes["/m"] = to("/n", 302, ("Set-Cookie", "session=1; Path=/"))
    site.routes["/n"] = Stored(DATA)
    finished = stage.run(stage.write(entry(f"{site.url}/m", data=DATA)))
    assert finished.code == 0, finished.told()
    assert all("cookie" not in request.headers for request in stage.capture.requests)
