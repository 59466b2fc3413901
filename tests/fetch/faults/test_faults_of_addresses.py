"""Names, certificates and proxies between here and the server."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from fault_answers import said, to
from fault_certificates import Certificates, make_certificates
from fault_server import Exchange, Site
from fault_stage import NAME, SECRET, Stage, check_home, check_secrets, entry
from stored_file import Stored, model

DATA = model()


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


def trust(certificates: Certificates) -> dict[str, str]:
    return {"SSL_CERT_FILE": str(certificates.authority)}


def test_https_with_an_authority_that_the_environment_names(stage: Stage, certificates: Certificates) -> None:
    site = stage.site(tls=certificates.right)
    site.routes["/m"] = Stored(DATA)
    finished = stage.run(stage.write(entry(f"{site.url}/m", data=DATA)), env=trust(certificates))
    assert finished.code == 0, finished.told()
    assert stage.path().read_bytes() == DATA


@pytest.mark.parametrize("kind", ["other_name", "unknown"])
def test_a_wrong_certificate_is_never_overlooked(stage: Stage, certificates: Certificates, kind: str) -> None:
    wrong, right = stage.site(tls=getattr(certificates, kind)), stage.site(tls=certificates.right)
    wrong.routes["/m"] = right.routes["/m"] = Stored(DATA)
    manifest = stage.write(entry(f"{wrong.url}/m", data=DATA))
    finished = stage.run(manifest, env=trust(certificates))
    assert finished.code == 1
    assert re.search("certificate", finished.told(), re.IGNORECASE)
    assert stage.capture.of(wrong) == []
    check_home(stage, {})
    manifest = stage.write(entry(f"{wrong.url}/m", f"{right.url}/m", data=DATA))
    finished = stage.run(manifest, env=trust(certificates))
    assert finished.code == 0, finished.told()
    assert stage.path().read_bytes() == DATA


def test_https_is_never_left_for_http(stage: Stage, certificates: Certificates) -> None:
    secure, plain = stage.site(tls=certificates.right), stage.site()
    secure.routes["/m"] = to(f"{plain.url}/m")
    plain.routes["/m"] = Stored(DATA)
    finished = stage.run(stage.write(entry(f"{secure.url}/m", data=DATA)), env=trust(certificates))
    assert finished.code == 1
    assert "https to http" in finished.told()
    assert stage.capture.of(plain) == []
    check_home(stage, {})


def test_a_name_that_does_not_resolve(stage: Stage) -> None:
    good = stage.site()
    good.routes["/m"] = Stored(DATA)
    nowhere = "http://no-such-host.invalid/m"
    finished = stage.run(stage.write(entry(nowhere, data=DATA)))
    assert finished.code == 1
    assert "no-such-host.invalid" in finished.told()
    finished = stage.run(stage.write(entry(nowhere, f"{good.url}/m", data=DATA)))
    assert finished.code == 0, finished.told()
    assert stage.path().read_bytes() == DATA


def proxy(stage: Stage) -> Site:
    """A proxy that knows one file of one host, whatever host that is."""
    site = stage.site()

    def forward(exchange: Exchange) -> None:
        # What is asked of a proxy is a whole address.
        assert exchange.request.target.startswith("http://hub.example/")
        Stored(DATA)(exchange)

    site.fallback = forward
    return site


def test_a_proxy_of_the_environment_is_used(stage: Stage) -> None:
    through = proxy(stage)
    manifest = stage.write(entry("http://hub.example/m", data=DATA))
    finished = stage.run(manifest, env={"HTTP_PROXY": through.url, "http_proxy": through.url})
    assert finished.code == 0, finished.told()
    assert stage.path().read_bytes() == DATA
    assert all(urlsplit(r.target).hostname == "hub.example" for r in stage.capture.of(through))


def test_what_the_environment_exempts_goes_past_the_proxy(stage: Stage) -> None:
    through, site = stage.site(), stage.site()
    site.routes["/m"] = Stored(DATA)
    exempt = {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
    env = {"HTTP_PROXY": through.url, "http_proxy": through.url, **exempt}
    finished = stage.run(stage.write(entry(f"{site.url}/m", data=DATA)), env=env)
    assert finished.code == 0, finished.told()
    assert stage.capture.of(through) == []


def test_a_proxy_that_wants_a_login_is_named_without_what_it_was_told(stage: Stage) -> None:
    through = stage.site()
    through.fallback = said(407, b"", ("Proxy-Authenticate", "Basic"))
    address = through.url.replace("http://", f"http://user:{SECRET}@")
    manifest = stage.write(entry("http://hub.example/m", data=DATA))
    finished = stage.run(manifest, env={"HTTP_PROXY": address, "http_proxy": address})
    assert finished.code == 1
    assert "407" in finished.told()
    check_secrets(stage, finished, lambda request: request.origin == through.url)
    check_home(stage, {})


def test_a_name_in_an_answer_leads_nowhere(stage: Stage, tmp_path: Path) -> None:
    site = stage.site()
    name = "attachment; filename*=UTF-8''..%2f..%2fescaped; filename=\"../../escaped\""
    headers = [("Content-Disposition", name)]
    site.routes["/file.safetensors"] = Stored(DATA, headers=headers)
    manifest = stage.write(f"{site.url}/file.safetensors\n  dir=checkpoints\n")
    finished = stage.run(manifest)
    assert finished.code == 0, finished.told()
    assert stage.path("models/checkpoints/file.safetensors").read_bytes() == DATA
    assert not list(tmp_path.rglob("*escaped*"))
    assert NAME not in stage.files()
