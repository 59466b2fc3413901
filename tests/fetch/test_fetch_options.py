"""Which options may stand in a manifest."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from comfykit.fetch.options import UNUSED, USED, read_checksum, read_header, why_refused


@pytest.mark.parametrize(
    "name",
    ["on-bt-download-complete", "on-download-start", "save-cookies", "certificate", "private-key",
     "rpc-secret", "http-user", "https-proxy", "all-proxy-passwd", "bt-exclude-tracker", "metalink-file",
     "select-file",
     "torrent-file", "ftp-passwd", "netrc-path", "conf-path", "save-session", "input-file", "dry-run"],
)  # fmt: skip
def test_dangerous_options_are_refused_by_name(name: str) -> None:
    assert (why_refused(name) or "").startswith("is refused")


def test_accepted_options_are_aria2s_own() -> None:
    aria2c = shutil.which("aria2c")
    if aria2c is None:
        pytest.skip("aria2c is not installed")
    manual = subprocess.run([aria2c, "--help=#all"], capture_output=True, text=True, check=True).stdout
    known = {word.split("=")[0].split("[")[0] for word in manual.split() if word.startswith("--")}
    assert {f"--{name}" for name in USED | UNUSED} <= known


def test_checksums_are_lower_case() -> None:
    assert read_checksum("sha-256=" + "AB" * 32) == "ab" * 32


@pytest.mark.parametrize(
    "header", ["Range: bytes=0-", "accept-encoding: gzip", "HOST: x", "TE: x", ": x", "a b: c"]
)
def test_headers_of_the_transfer_itself_are_refused(header: str) -> None:
    with pytest.raises(ValueError, match="header"):
        read_header(header)


def test_a_header_keeps_its_name_and_value() -> None:
    assert read_header("Authorization:Bearer a:b ") == ("Authorization", "Bearer a:b")
