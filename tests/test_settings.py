from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from comfykit.errors import UsageError
from comfykit.settings import Settings, resolve


@pytest.fixture
def cwd(tmp_path: Path) -> Path:
    folder = tmp_path / "work" / "deep"
    folder.mkdir(parents=True)
    return folder


def write(folder: Path, text: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "comfykit.toml").write_text(text, encoding="utf-8")
    return folder


def resolved(cwd: Path, environment: dict[str, str] | None = None, **flags: object) -> Settings:
    return resolve(flags, environment=environment or {}, cwd=cwd)


def test_defaults(cwd: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    settings = resolved(cwd)
    home = tmp_path / "comfykit"
    assert settings.home.root == home
    assert (settings.input_dir, settings.output_dir) == (home / "input", home / "output")
    assert settings.temp_dir == home / "temp"
    assert (settings.device, settings.precision, settings.jobs) == ("auto", "auto", 8)
    assert not home.exists()


def test_settings_cannot_be_changed(cwd: Path) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        resolved(cwd, home="h").jobs = 8  # type: ignore[misc]


def test_the_home_is_found_by_flag_then_environment_then_upward(cwd: Path, tmp_path: Path) -> None:
    write(tmp_path / "work", "")
    environment = {"COMFYKIT_HOME": "by_environment"}
    assert resolved(cwd, environment, home="by_flag").home.root == cwd / "by_flag"
    assert resolved(cwd, environment).home.root == cwd / "by_environment"
    assert resolved(cwd, {"COMFYKIT_HOME": ""}).home.root == tmp_path / "work"
    write(cwd, "")
    assert resolved(cwd).home.root == cwd


@pytest.mark.parametrize(
    ("name", "flag", "variable", "in_file", "default"),
    [
        ("device", "cpu", "cuda", '"cpu"', "auto"),
        ("precision", "fp32", "fp16", '"bf16"', "auto"),
        ("preview_method", "taesd", "auto", '"latent2rgb"', "none"),
        ("jobs", 1, "2", "3", 8),
        ("backend", "httpx", "aria2", '"httpx"', "auto"),
        ("connections", 1, "2", "3", 16),
    ],
)
def test_order(cwd: Path, name: str, flag: object, variable: str, in_file: str, default: object) -> None:
    home = write(cwd / "home", f"{name} = {in_file}")
    environment = {f"COMFYKIT_{name.upper()}": variable}
    expected = [flag, type(default)(variable), type(default)(in_file.strip('"')), default]
    assert [
        getattr(resolved(cwd, environment, home=home, **{name: flag}), name),
        getattr(resolved(cwd, environment, home=home, **{name: None}), name),
        getattr(resolved(cwd, home=home), name),
        getattr(resolved(cwd, home=cwd / "other"), name),
    ] == expected


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("20M", 20 * 1024**2),
        ("1.5g", 1.5 * 1024**3),
        ("500 KiB/s", 500 * 1024),
        ("4096", 4096),
        ("4096B", 4096),
    ],
)
def test_rates_have_binary_prefixes(cwd: Path, text: str, rate: float) -> None:
    assert resolved(cwd, max_speed=text).max_speed == rate
    assert resolved(cwd, {"COMFYKIT_MAX_SPEED": text}).max_speed == rate
    assert resolved(cwd).max_speed is None


def test_the_registry_has_an_address(cwd: Path) -> None:
    assert resolved(cwd).registry == "https://api.comfy.org"
    assert resolved(cwd, {"COMFYKIT_REGISTRY": "http://127.0.0.1:80/"}).registry == "http://127.0.0.1:80"


def test_relative_paths_start_where_they_are_written(cwd: Path) -> None:
    home = write(cwd / "home", 'input_dir = "in"\noutput_dir = "../out"')
    settings = resolved(cwd, {"COMFYKIT_OUTPUT_DIR": "mine"}, home="home")
    assert settings.input_dir == home / "in"
    assert settings.output_dir == cwd / "mine"
    assert resolved(cwd, home="home").output_dir == home / ".." / "out"


@pytest.mark.parametrize("where", ["flag", "environment", "file"])
def test_a_tilde_is_the_user_s_home_wherever_it_is_written(
    cwd: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    monkeypatch.setenv("HOME", "/home/ann")
    write(cwd / "home", 'input_dir = "~/in"' if where == "file" else "")
    environment = {"COMFYKIT_INPUT_DIR": "~/in"} if where == "environment" else {}
    flags = {"input_dir": "~/in"} if where == "flag" else {}
    assert resolved(cwd, environment, home="home", **flags).input_dir == Path("/home/ann/in")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("device = ", "comfykit.toml"),
        ("\udcff", "comfykit.toml"),
        ('devise = "cpu"', "unknown setting 'devise'"),
        ('device = "tpu"', "device 'tpu'"),
        ('device = ["cpu"]', "is not one of auto, cpu, cuda"),
        ("jobs = 0", "jobs 0"),
        ("jobs = true", "not a whole number"),
        ("jobs = 2.5", "not a whole number"),
        ('backend = "curl"', "is not one of auto, httpx, aria2"),
        ("connections = 0", "connections 0"),
        ("max_speed = 0", "max_speed 0"),
        ('registry = "api.comfy.org"', "registry 'api.comfy.org'"),
        ('max_speed = "fast"', "max_speed 'fast'"),
        ("input_dir = 5", "input_dir 5 is not a path"),
        ('output_dir = "~nobody_has_this_name/out"', "not known"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(cwd: Path, text: str, words: str) -> None:
    home = write(cwd / "home", "")
    (home / "comfykit.toml").write_text(text, encoding="utf-8", errors="surrogateescape")
    with pytest.raises(UsageError) as caught:
        resolved(cwd, home=home)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("flags", "environment", "source"),
    [
        ({"jobs": "many"}, {}, "--jobs"),
        ({}, {"COMFYKIT_JOBS": "-1"}, "COMFYKIT_JOBS"),
        ({"device": "gpu"}, {}, "--device"),
        ({}, {"COMFYKIT_PRECISION": "fp8"}, "COMFYKIT_PRECISION"),
    ],
)
def test_a_value_that_cannot_be_used_says_where_it_is_from(
    cwd: Path, flags: dict[str, object], environment: dict[str, str], source: str
) -> None:
    with pytest.raises(UsageError) as caught:
        resolved(cwd, environment, home="home", **flags)
    assert source in str(caught.value)


def test_homes_that_cannot_be_one(cwd: Path) -> None:
    (cwd / "file").write_text("")
    with pytest.raises(UsageError, match="is a file") as caught:
        resolved(cwd, home="file")
    assert caught.value.hint
    with pytest.raises(UsageError, match="cannot be looked into"):
        resolved(cwd, home="x" * 300)
    with pytest.raises(UsageError, match="home folder of the user"):
        resolved(cwd, {"COMFYKIT_HOME": "~nobody_has_this_name/x"})


def test_a_settings_file_that_is_a_folder_is_not_one(cwd: Path) -> None:
    (cwd / "home" / "comfykit.toml").mkdir(parents=True)
    assert resolved(cwd, home="home").device == "auto"


def test_mirrors_and_tokens_stand_in_the_file(cwd: Path) -> None:
    text = '[[mirrors]]\nfrom = "https://a/"\nto = "https://b/"\n[tokens]\nhuggingface = "hush"\n'
    home = write(cwd / "home", text)
    (home / "comfykit.toml").chmod(0o600)
    settings = resolved(cwd, home=home)
    assert settings.mirrors == ({"from": "https://a/", "to": "https://b/"},)
    assert settings.tokens == {"huggingface": "hush"}
    assert "hush" not in repr(settings)
    assert resolved(cwd, home=cwd / "other").tokens == {}


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660])
def test_tokens_in_a_file_that_others_can_read_are_refused(cwd: Path, mode: int) -> None:
    home = write(cwd / "home", '[tokens]\ncivitai = "hush"\n')
    (home / "comfykit.toml").chmod(mode)
    with pytest.raises(UsageError, match="others can read it") as caught:
        resolved(cwd, home=home)
    assert "chmod 600" in (caught.value.hint or "")
    assert "hush" not in f"{caught.value} {caught.value.facts}"


@pytest.mark.parametrize(
    "text",
    ["mirrors = 1", 'mirrors = ["a"]', '[mirrors]\nfrom = "a"', "tokens = 1", "[tokens]\nhuggingface = 5"],
)
def test_mirrors_and_tokens_of_another_form_are_refused(cwd: Path, text: str) -> None:
    home = write(cwd / "home", text)
    with pytest.raises(UsageError, match=r"mirrors are tables|tokens are texts"):
        resolved(cwd, home=home)
