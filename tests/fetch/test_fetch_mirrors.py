"""Rewriting addresses."""

from __future__ import annotations

from pathlib import PurePosixPath

import pytest

from comfykit.errors import UsageError
from comfykit.fetch.entry import ManifestEntry
from comfykit.fetch.history import History
from comfykit.fetch.mirror_rules import Mirror, packaged_rules, read_rules
from comfykit.fetch.mirrors import candidates, read_mirrors, rewrite, sources_for
from comfykit.fetch.tokens import Tokens, read_tokens

HUB = "https://huggingface.co/"
GITHUB = "https://github.com/"
RAW = "https://raw.githubusercontent.com/"
FILE = f"{HUB}o/r/resolve/main/a.safetensors"
COPY = "https://hf-mirror.com/o/r/resolve/main/a.safetensors"


def entry(*urls: str, sha256: str | None = None, headers: tuple[tuple[str, str], ...] = ()) -> ManifestEntry:
    return ManifestEntry(urls, PurePosixPath("vae/a.safetensors"), "list", 1, sha256, headers)


def tokens(in_file: dict[str, str] | None = None, **environment: str) -> Tokens:
    return read_tokens({"HOME": "/nowhere", **environment}, in_file)


def test_the_first_rule_that_fits_decides() -> None:
    rules = read_mirrors(f"{HUB}datasets/=http://d/ \n {HUB}=http://127.0.0.1:8/hub/ {HUB}=http://never/")
    assert rewrite(HUB + "datasets/x", rules) == "http://d/x"
    assert rewrite(HUB + "o/m?a=b=c", rules) == "http://127.0.0.1:8/hub/o/m?a=b=c"
    assert rewrite("https://github.com/x", rules) == "https://github.com/x"
    assert rewrite("https://huggingface.co.evil.example/x", rules) == "https://huggingface.co.evil.example/x"


def test_a_prefix_proxy_is_a_rule_too() -> None:
    rules = read_mirrors("https://github.com/=https://proxy.example/https://github.com/")
    assert rewrite("https://github.com/o/r", rules) == "https://proxy.example/https://github.com/o/r"


def test_no_rules_are_no_rules() -> None:
    assert read_mirrors("  ") == ()


@pytest.mark.parametrize(
    "text", ["x", f"{HUB}", f"{HUB}=http://a", "https://huggingface.co=http://a/", "a/=b/", f"{HUB}=ftp://a/"]
)
def test_rules_that_cannot_be_used(text: str) -> None:
    with pytest.raises(UsageError, match="COMFYKIT_MIRRORS"):
        read_mirrors(text)


def test_variables_that_other_tools_know_are_rules() -> None:
    rules = read_rules(
        {"HF_ENDPOINT": "https://hf-mirror.com", "GITHUB_ENDPOINT": f"https://p.example/{GITHUB}"}
    )
    assert rewrite(FILE, rules) == COPY
    assert rewrite(f"{GITHUB}o/r/x", rules) == f"https://p.example/{GITHUB}o/r/x"
    assert rewrite(f"{RAW}o/r/x", rules) == f"https://p.example/{RAW}o/r/x"


def test_a_github_endpoint_that_is_no_prefix_replaces_github_alone() -> None:
    rules = read_rules({"GITHUB_ENDPOINT": "https://git.example/"})
    assert rewrite(f"{GITHUB}o/r/x", rules) == "https://git.example/o/r/x"
    assert rewrite(f"{RAW}o/r/x", rules) == f"{RAW}o/r/x"


@pytest.mark.parametrize("value", ["", "https://huggingface.co", "https://huggingface.co/"])
def test_an_endpoint_that_is_the_hub_itself_is_no_rule(value: str) -> None:
    assert read_rules({"HF_ENDPOINT": value}) == packaged_rules()


@pytest.mark.parametrize("variable", ["HF_ENDPOINT", "GITHUB_ENDPOINT"])
def test_an_endpoint_that_cannot_be_used_is_named(variable: str) -> None:
    with pytest.raises(UsageError, match=variable):
        read_rules({variable: "hf-mirror.com"})


def test_rules_of_the_settings_come_before_those_of_the_package() -> None:
    mine = {"from": HUB, "to": "https://mine.example/"}
    rules = read_rules({}, [mine])
    assert [rule.to for rule in rules[:2]] == ["https://mine.example/", "https://hf-mirror.com/"]
    assert candidates([FILE], rules, checksum=False) == [
        FILE,
        "https://mine.example/o/r/resolve/main/a.safetensors",
    ]


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"from": HUB}, "needs from and to"),
        ({"from": HUB, "to": 5}, "needs from and to"),
        ({"from": HUB, "to": "https://m.example"}, "must both end in '/'"),
        ({"from": HUB, "to": "https://m.example/", "instead": "yes"}, "true or false"),
        ({"from": HUB, "to": "https://m.example/", "insted": True}, "unknown setting 'insted'"),
        ({"from": "hf/", "to": "https://m.example/"}, "no http"),
    ],
)
def test_rules_of_the_settings_that_cannot_be_used(table: dict[str, object], words: str) -> None:
    with pytest.raises(UsageError, match=r"\[\[mirrors\]\] in comfykit.toml") as caught:
        read_rules({}, [table])
    assert words in str(caught.value)


def test_mirrors_of_the_package_are_for_files_with_a_checksum() -> None:
    rules = packaged_rules()
    assert all(rule.needs_checksum and not rule.instead for rule in rules)
    assert candidates([FILE], rules, checksum=False) == [FILE]
    assert candidates([FILE], rules, checksum=True) == [FILE, COPY]
    assert candidates([FILE, COPY], rules, checksum=True) == [FILE, COPY]


def test_a_file_that_is_known_to_lie_on_modelscope_has_that_mirror() -> None:
    name = "stable-diffusion-xl-base-1.0"
    found = candidates(
        [f"{HUB}stabilityai/{name}/resolve/main/sd_xl_base_1.0.safetensors"], packaged_rules(), checksum=True
    )
    assert found[2].startswith(f"https://modelscope.cn/api/v1/models/AI-ModelScope/{name}/")


def test_where_a_rule_says_instead_no_other_mirror_is_asked() -> None:
    rules = read_rules({"HF_ENDPOINT": "https://inside.example"})
    assert candidates([FILE], rules, checksum=True) == [
        "https://inside.example/o/r/resolve/main/a.safetensors"
    ]
    only = read_rules({}, [{"from": HUB, "to": HUB, "instead": True}])
    assert candidates([FILE], only, checksum=True) == [FILE]


def test_a_mirror_gets_neither_headers_nor_tokens_nor_a_secret_query() -> None:
    rules = (Mirror(HUB, "https://m.example/", instead=False),)
    asked = entry(f"{FILE}?token=hush&part=1", headers=(("X-Key", "hush"),))
    first, second = sources_for(asked, rules, tokens(HF_TOKEN="hush"))
    assert first.headers_for(FILE) == {"X-Key": "hush", "Authorization": "Bearer hush"}
    assert second.url == "https://m.example/o/r/resolve/main/a.safetensors?part=1"
    assert (second.headers, second.headers_for(FILE)) == ((), {})
    assert second.title == "m.example"
    assert (first.token_from, second.token_from) == ("HF_TOKEN", None)


def test_signed_addresses_lose_their_signature_too() -> None:
    rules = (Mirror("https://s.example/", "https://m.example/"),)
    assert (
        rewrite("https://s.example/a?X-Amz-Signature=hush&v=2&sig=hush", rules) == "https://m.example/a?v=2"
    )


def test_a_mirror_that_comfykit_toml_names_gets_the_token_it_says() -> None:
    rules = (Mirror(HUB, "https://hf-mirror.com/"),)
    (source,) = sources_for(entry(FILE), rules, tokens({"hf-mirror.com": "mine"}, HF_TOKEN="hush"))
    assert source.headers_for(COPY) == {"Authorization": "Bearer mine"}
    assert source.headers_for(FILE) == {}


def test_an_authorization_of_the_manifest_is_preferred_to_a_token() -> None:
    asked = entry(FILE, headers=(("authorization", "Bearer mine"),))
    (source,) = sources_for(asked, (), tokens(HF_TOKEN="other"))
    assert source.headers_for(FILE) == {"authorization": "Bearer mine"}
    assert source.token_from == "the manifest"


def test_no_secret_goes_over_http_except_on_this_machine() -> None:
    headers = (("Authorization", "Bearer hush"), ("Referer", "https://h/"))
    (source,) = sources_for(entry("http://h.example/a", headers=headers))
    assert source.headers == (("Referer", "https://h/"),)
    (source,) = sources_for(entry("http://127.0.0.1:8/a", headers=headers))
    assert source.headers == headers


def test_civitai_s_token_leaves_the_address() -> None:
    address = "https://civitai.com/api/download/models/1"
    (source,) = sources_for(entry(f"{address}?token=hush&fp=fp16"), (), tokens(CIVITAI_TOKEN="other"))
    assert source.url == f"{address}?fp=fp16"
    assert source.headers_for(address) == {"Authorization": "Bearer hush"}
    assert "hush" not in repr(source)


def test_the_history_of_hosts_decides_the_order() -> None:
    history = History()
    history.failed(FILE)
    urls = [source.url for source in sources_for(entry(FILE, COPY), (), tokens(), history)]
    assert urls == [COPY, FILE]
