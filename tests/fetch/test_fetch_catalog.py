"""The lists that ship with comfykit: what is in them, and that aria2 reads them as comfykit does."""

from __future__ import annotations

import csv
import io
import re
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from comfykit.fetch.catalog import entry_for, how_to_fetch, shipped
from comfykit.fetch.entry import ManifestEntry
from comfykit.fetch.manifest import read_manifests
from comfykit.fetch.parse import parse
from fetch_support import environment, files_below, serving, sha256, weights

NAMES = (
    "download.txt",
    "manifests/clip-vision.txt",
    "manifests/controlnet-sd15.txt",
    "manifests/embeddings.txt",
    "manifests/sd15.txt",
    "manifests/sdxl.txt",
    "manifests/upscalers.txt",
)


def entries(name: str) -> list[ManifestEntry]:
    return parse(shipped()[name].read_bytes(), name).entries


def test_these_lists_ship() -> None:
    assert tuple(shipped()) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_list_is_clean(name: str) -> None:
    parsed = parse(shipped()[name].read_bytes(), name)
    assert parsed.entries
    assert not parsed.problems
    assert not parsed.warnings
    text = shipped()[name].read_text(encoding="utf-8")
    for block in re.findall(r"(?m)^https?://.*\n((?:[ \t].*\n)*)", text):
        options = [line.strip().partition("=")[0] for line in block.splitlines()]
        assert options[:2] == ["dir", "out"]


def test_most_files_of_the_lists_by_subject_have_checksums_and_sizes() -> None:
    found = [entry for name in NAMES[1:] for entry in entries(name)]
    assert all(entry.sha256 for entry in found if entry.size)
    assert sum(entry.sha256 is not None for entry in found) >= len(found) - 3
    assert sum(entry.size is not None for entry in found) >= len(found) / 2


def test_all_shipped_lists_agree() -> None:
    listing = read_manifests(NAMES, io.BytesIO())
    assert len({entry.target for entry in listing.entries}) == len(listing.entries)


def test_hugging_face_files_have_their_mirror() -> None:
    for name in NAMES:
        for entry in entries(name):
            hosts = [urlsplit(url).hostname for url in entry.urls]
            assert hosts[0] in ("huggingface.co", "github.com")
            assert hosts[0] != "huggingface.co" or hosts[1] == "hf-mirror.com"
            paths = {urlsplit(url).path for url in entry.urls[:2]}
            assert len(paths) == 1


def test_download_txt_is_the_known_list(shared: Path) -> None:
    with (shared / "reference" / "model-urls.tsv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file, delimiter="\t") if not row["section"].startswith("SDXL")]
    wanted = {(row["dir"], row["out"], row["url"]): row["active"] == "yes" for row in rows}
    text = shipped()["download.txt"].read_text(encoding="utf-8")
    found = {}
    pattern = r"(?m)^(#?)(https://[^\t\n]+)[^\n]*\n\1  dir=(.+)\n\1  out=(.+)\n"
    for off, url, folder, name in re.findall(pattern, text):
        found[folder, name, url] = not off
    assert found == wanted
    active = {(entry.path, entry.urls[0]) for entry in entries("download.txt")}
    assert active == {(f"{folder}/{name}", url) for (folder, name, url), on in wanted.items() if on}


def test_all_fourteen_controlnets_are_listed() -> None:
    assert len(entries("manifests/controlnet-sd15.txt")) == 14


def test_a_model_is_found_in_its_own_list_first() -> None:
    entry = entry_for("upscale_models", "RealESRGAN_x4plus.pth")
    assert entry is not None
    assert entry.file == "manifests/upscalers.txt"
    assert entry.sha256 is not None
    assert entry_for("vae_approx", "taesdxl_decoder.safetensors") is not None
    assert entry_for("checkpoints", "stable_cascade_stage_c.safetensors") is None


def test_the_command_that_fetches_a_model_names_list_and_model() -> None:
    assert how_to_fetch("checkpoints", "v1-5-pruned-emaonly.safetensors") == (
        "comfykit install-models manifests/sd15.txt --only v1-5-pruned-emaonly.safetensors"
    )
    assert how_to_fetch("checkpoints", "none.safetensors") is None


def test_looking_a_model_up_imports_neither_torch_nor_httpx() -> None:
    code = (
        "import sys; from comfykit.fetch.catalog import entry_for; import comfykit.fetch.transfer\n"
        "import comfykit.services.install_models; entry_for('vae', 'x')\n"
        "assert not {'torch', 'httpx', 'rich'} & set(sys.modules), sorted(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env=environment())


@pytest.mark.parametrize("name", NAMES)
def test_aria2_puts_every_file_where_comfykit_does(tmp_path: Path, name: str) -> None:
    aria2c = shutil.which("aria2c")
    if aria2c is None:
        pytest.skip("aria2c is not installed")
    wanted = entries(name)
    answers: dict[str, bytes] = {}
    text = shipped()[name].read_text(encoding="utf-8")
    for entry in wanted:
        data = weights(entry.path)
        for url in entry.urls:
            answers["/" + url.removeprefix("https://")] = data
        if entry.sha256:
            text = text.replace(entry.sha256, sha256(data))
    with serving(answers) as server:
        local = re.sub(r"(?m)^https://.*$", lambda m: m[0].replace("https://", server.url + "/"), text)
        (tmp_path / "list.txt").write_text(local, encoding="utf-8")
        done = subprocess.run(
            [aria2c, "--no-conf", "--input-file=list.txt", "--split=1", "--file-allocation=none"],
            cwd=tmp_path,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 0, done.stdout
    found = {path: data for path, data in files_below(tmp_path).items() if path != "list.txt"}
    assert found == {entry.path: weights(entry.path) for entry in wanted}
