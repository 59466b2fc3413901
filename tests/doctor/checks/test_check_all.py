"""Every check on machines with one thing wrong: which findings there are, and what their commands are."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import pytest

from comfykit.doctor.catalogue import catalogue
from comfykit.doctor.checks import CHECKS
from comfykit.doctor.facts import Facts
from comfykit.doctor.interface import Finding, Status

MakeFacts: TypeAlias = Callable[..., Facts]

GIB = 2**30
RTX3090 = {"gpus": [{"name": "NVIDIA GeForce RTX 3090"}], "version": "560.35.03"}
PYTHON = {"version": "3.12.1"}


def findings(facts: Facts) -> list[Finding]:
    return [finding for check in CHECKS for finding in check(facts)]


def codes(facts: Facts) -> set[str]:
    return {finding.code for finding in findings(facts) if finding.code}


def commands(facts: Facts, code: str) -> list[str]:
    (finding,) = [finding for finding in findings(facts) if finding.code == code]
    return [shlex.join(words) for words in finding.commands]


def test_a_healthy_machine_has_no_finding(healthy: Facts) -> None:
    assert codes(healthy) == set()
    assert {finding.status for finding in findings(healthy)} == {Status.OK}


def test_what_nobody_looked_at_is_not_judged() -> None:
    assert findings(Facts(ours=False)) == []


@pytest.mark.parametrize(
    ("plain", "code"),
    [
        ({"late": ["driver"]}, "CK001"),
        ({"python": {"version": "3.10.4"}}, "CK101"),
        ({"python": {"version": "3.19.0"}}, "CK102"),
        ({"python": {"version": "3.12.3", "virtual": False, "managed": True}}, "CK103"),
        ({"system": {"libc": "musl"}}, "CK104"),
        ({"torch": {"version": None}}, "CK201"),
        ({"torch": {"version": "2.11.0", "error": "OSError: libcudart.so.12"}}, "CK202"),
        ({"system": {"os": "macos", "machine": "x86_64"}}, "CK105"),
        ({"packages": {"torch": "2.9.1+cu126"}}, "CK203"),
        ({"python": {"version": "3.15.0"}, "packages": {"torch": "2.12.0+cu126"}}, "CK204"),
        ({"packages": {"torch": "2.12.0+cpu", "torchvision": "0.26.0+cpu"}}, "CK205"),
        ({"packages": {"torch": "2.10.0+cpu", "torchaudio": "2.9.0+cpu"}}, "CK206"),
        ({"packages": {"torch": "2.11.0+cu130", "torchvision": "0.26.0+cpu"}}, "CK207"),
        ({"packages": {"torch": "2.12.0+cu130", "xformers": "0.0.30"}}, "CK208"),
        ({"packages": {"torch": "2.12.0+cu130", "triton": "3.1.0"}}, "CK209"),
        (
            {
                "system": {"os": "windows"},
                "packages": {"torch": "2.10.0+cu130", "triton-windows": "3.2.0.post11"},
            },
            "CK209",
        ),
        ({"packages": {"torch": "2.12.0+cu130", "flash-attn": "2.8.3+cu12torch2.8cxx11abiTRUE"}}, "CK210"),
        ({"system": {"glibc": "2.17"}, "packages": {"torch": "2.12.0+cu126"}}, "CK211"),
        ({"packages": {"torch": "2.12.0+cu130", "onnxruntime-gpu": "1.18.0"}}, "CK212"),
        ({"packages": {"torch": "2.12.0+cpu"}, "driver": RTX3090}, "CK301"),
        ({"packages": {"torch": "2.12.0+cu130"}, "driver": RTX3090}, "CK303"),
        ({"packages": {"torch": "2.12.0+cu130"}, "driver": {"gpus": [{"name": "Tesla P40"}]}}, "CK305"),
        (
            {"torch": {"version": "2.12.0+cu126", "cuda": "12.6", "devices": 0}, "driver": RTX3090},
            "CK306",
        ),
        (
            {
                "packages": {"torch": "2.12.0+cu126"},
                "driver": RTX3090,
                "variables": {"CUDA_VISIBLE_DEVICES": "1"},
            },
            "CK307",
        ),
        ({"driver": {"error": "Driver/library version mismatch"}}, "CK320"),
        ({"driver": {"present": False}}, "CK321"),
        ({"amd": {"gpus": ["gfx1031"]}, "packages": {"torch": "2.12.0+rocm6.4"}}, "CK340"),
        ({"amd": {"gpus": ["gfx1151"]}, "packages": {"torch": "2.10.0+rocm6.4"}}, "CK340"),
        ({"amd": {"gpus": ["gfx1100"]}, "packages": {"torch": "2.12.0+cpu"}}, "CK341"),
        (
            {
                "system": {"os": "macos", "machine": "aarch64"},
                "driver": {"present": False},
                "torch": {"version": "2.12.0", "devices": 0, "mps": False},
            },
            "CK321",
        ),
        ({"amd": {"error": "no such device"}}, "CK320"),
        ({"packages": {"numpy": None}}, "CK401"),
        ({"numpy": {"version": "2.1.0", "error": "ImportError: no"}}, "CK402"),
        ({"packages": {"numpy": "1.25.2"}}, "CK403"),
        (
            {"numpy": {"version": "2.1.0"}, "torch": {"version": "2.12.0", "devices": 0, "arrays": "no"}},
            "CK404",
        ),
        ({"packages": {"numpy": "2.1.0", "pandas": "2.1.4"}}, "CK405"),
        ({"packages": {"numpy": "2.3.1", "numba": "0.61.0"}}, "CK406"),
        ({"packages": {"opencv-python": "4.10.0.84", "opencv-python-headless": "4.10.0.84"}}, "CK501"),
        ({"packages": {"onnxruntime": "1.20.1", "onnxruntime-gpu": "1.20.1"}}, "CK502"),
        (
            {
                "installation": {
                    "unmet": [{"package": "mediapipe", "requirement": "numpy<2", "installed": "2"}]
                }
            },
            "CK503",
        ),
        ({"memory": {"total": 4 * GIB, "available": 3 * GIB}}, "CK601"),
        ({"memory": {"total": 32 * GIB, "available": 1 * GIB}}, "CK602"),
        ({"container": {"kind": "docker", "gpu": True, "shm": 64 << 20}}, "CK608"),
        ({"memory": {"total": 12 * GIB, "available": 9 * GIB, "swap": 0}}, "CK609"),
        ({"storage": {"error": "no access", "free": 100 * GIB}}, "CK603"),
        ({"storage": {"free": 3 * GIB}}, "CK604"),
        ({"storage": {"free": 99 * GIB, "disks": [{"role": "models", "inodes": 0}]}}, "CK605"),
        ({"storage": {"free": 99 * GIB, "disks": [{"role": "output", "read_only": True}]}}, "CK606"),
        ({"storage": {"free": 99 * GIB, "disks": [{"role": "models", "type": "nfs4"}]}}, "CK607"),
        ({"network": {"hosts": {"pypi.org": None}, "clock": -4000.0}}, "CK611"),
        ({"network": {"hosts": {"huggingface.co": "gave no answer in 3 s"}}}, "CK612"),
        ({"network": {"hosts": {"pypi.org": "its certificate is not trusted (self-signed)"}}}, "CK613"),
        ({"network": {"clock": -900_000.0}}, "CK611"),
        ({"network": {"socks": True}, "packages": {"socksio": None}}, "CK615"),
        ({"models": {"leftovers": [{"path": "models/x.part", "size": 5}]}}, "CK705"),
        ({"models": {"pickles": ["models/x.pth"]}}, "CK709"),
        ({"models": {"duplicates": [["a.safetensors", "b.safetensors"]]}}, "CK708"),
        ({"packs": [{"name": "Pack", "error": "No module named 'skimage'"}]}, "CK811"),
        ({"needs": {"main": 40 * GIB}, "memory": {"total": 32 * GIB, "available": 30 * GIB}}, "CK802"),
        ({"needs": {"models": ["sd.safetensors"]}}, "CK803"),
        ({"needs": {"classes": {"Nobody's": ""}}}, "CK804"),
        ({"needs": {"gpu": 30 * GIB}, "driver": {"gpus": [{"name": "x", "free": 20 * GIB}]}}, "CK801"),
    ],
)
def test_one_thing_wrong(make: MakeFacts, plain: Mapping[str, Any], code: str) -> None:
    assert codes(make(**{"python": PYTHON, "ours": False, **plain})) == {code}


@pytest.mark.parametrize(
    ("kind", "code"), [("cut", "CK701"), ("page", "CK702"), ("corrupt", "CK703"), ("denied", "CK704")]
)
def test_broken_models(make: MakeFacts, kind: str, code: str) -> None:
    facts = make(ours=False, models={"broken": [{"path": "vae/x.safetensors", "problem": "?", "kind": kind}]})
    assert codes(facts) == {code}
    assert commands(facts, code) == ([] if kind == "denied" else ["rm -r vae/x.safetensors"])


def test_files_in_the_wrong_place(make: MakeFacts) -> None:
    misplaced = [
        {"path": "checkpoints/a.safetensors", "found": "a LoRA", "expected": "a checkpoint"},
        {"path": "checkpoints/sdxl", "found": "a model in diffusers' layout", "expected": "a file"},
    ]
    assert codes(make(ours=False, models={"misplaced": misplaced})) == {"CK706", "CK707"}


def test_libraries_that_comfykit_needs(healthy: Facts, make: MakeFacts) -> None:
    assert codes(make(packages={**healthy.packages, "rich": None})) == {"CK506"}
    assert codes(make(packages={**healthy.packages, "transformers": "4.57.0"})) == {"CK507"}


def test_half_a_gpu_is_taken_by_others(make: MakeFacts) -> None:
    gpu = {"name": "NVIDIA GeForce RTX 3090", "memory": 24 * GIB, "free": GIB, "processes": 2}
    assert codes(make(ours=False, driver={"gpus": [gpu]})) == {"CK310"}


def test_a_container_without_its_gpu(make: MakeFacts) -> None:
    plain = {"container": {"kind": "docker"}, "driver": {"present": False}, "ours": False}
    assert codes(make(**plain, packages={"torch": "2.12.0+cu126"})) == {"CK322"}
    assert codes(make(**plain, packages={"torch": "2.12.0+cpu"})) == {"CK321"}


def test_with_the_device_set_to_cpu_gpus_do_not_matter(make: MakeFacts) -> None:
    plain = {"packages": {"torch": "2.12.0+cu130"}, "driver": {"gpus": [{"name": "Tesla K80"}]}}
    assert codes(make(ours=False, device="cpu", **plain)) == set()
    assert codes(make(ours=False, device="cpu", driver={"present": False})) == set()
    (none,) = findings(make(ours=False, device="cuda", driver={"present": False}))
    assert none.status is Status.FAILURE


def test_the_allocator_on_gpus_without_pools(make: MakeFacts) -> None:
    chosen = {"PYTORCH_CUDA_ALLOC_CONF": "backend:cudaMallocAsync"}
    old = make(
        packages={"torch": "2.12.0+cu126"},
        driver={"gpus": [{"name": "NVIDIA GeForce GTX 960M"}]},
        variables=chosen,
        ours=False,
    )
    assert codes(old) == {"CK308"}


def test_numpy_1_packages_are_brought_up_to_date_together(make: MakeFacts) -> None:
    facts = make(packages={"numpy": "2.1.0", "pandas": "2.1.4", "scipy": "1.11.4"}, ours=False)
    assert commands(facts, "CK405") == ["uv pip install 'scipy>=1.13' 'pandas>=2.2.2'"]


def test_of_several_opencvs_the_largest_is_kept(make: MakeFacts) -> None:
    facts = make(packages={"opencv-python": "4.9.0.80", "opencv-contrib-python": "4.9.0.80"}, ours=False)
    assert commands(facts, "CK501") == [
        "uv pip uninstall opencv-python",
        "uv pip install --reinstall-package opencv-contrib-python opencv-contrib-python==4.9.0.80",
    ]


def test_a_damaged_package_is_installed_anew_from_its_own_index(make: MakeFacts) -> None:
    damaged = [["torch", "2.12.0+cu126", 2, "torch/nn/__init__.py"], ["numpy", "2.1.0", 1, "numpy/x.py"]]
    damaged = [dict(zip(("name", "version", "files", "first"), row, strict=True)) for row in damaged]
    found = findings(make(ours=False, installation={"damaged": damaged}))
    assert [shlex.join(finding.commands[0]) for finding in found] == [
        "uv pip install --index-url https://download.pytorch.org/whl/cu126 --no-cache "
        "--reinstall-package torch torch==2.12.0+cu126",
        "uv pip install --no-cache --reinstall-package numpy numpy==2.1.0",
    ]


def test_remains_are_removed_first(make: MakeFacts) -> None:
    remains = [{"name": "scipy", "folder": "scipy-1.13.0.dist-info", "version": "1.13.0"}]
    facts = make(ours=False, installation={"folder": "/venv/lib", "remains": remains, "twice": ["rich"]})
    assert commands(facts, "CK505")[0] == "rm -r /venv/lib/scipy-1.13.0.dist-info"
    assert commands(facts, "CK508") == ["uv pip install --reinstall-package rich rich"]


def test_every_kind_of_finding_has_its_check_and_says_all_there_is_to_say() -> None:
    for code, entry in catalogue().items():
        assert code.startswith("CK")
        assert entry.title
        assert entry.why.endswith(".")
        assert not entry.fix.endswith(".")


@pytest.mark.parametrize(
    "plain",
    [
        {"amd": {"gpus": ["gfx1151"]}, "packages": {"torch": "2.10.0+rocm7.1"}},
        {"driver": {"present": False}, "torch": {"version": "2.12.0+xpu", "devices": 0, "xpu": 1}},
        {"container": {"kind": "docker", "gpu": True, "shm": 1 << 30}},
        {"memory": {"total": 12 * GIB, "available": 9 * GIB, "swap": 4 * GIB}},
        {"memory": {"total": 12 * GIB, "available": 9 * GIB, "swap": 0, "limited": True}},
        {"network": {"socks": True}, "packages": {"socksio": "1.0.0"}},
        {"network": {"taken": [8188]}},
    ],
)
def test_nothing_wrong(make: MakeFacts, plain: Mapping[str, Any]) -> None:
    assert codes(make(**{"python": PYTHON, "ours": False, **plain})) == set()


def test_an_intel_mac_gets_the_numpy_of_its_last_torch_and_no_other_torch(make: MakeFacts) -> None:
    mac = {"os": "macos", "machine": "x86_64"}
    found = findings(
        make(system=mac, python=PYTHON, packages={"torch": "2.2.2", "numpy": "2.0.1"}, ours=False)
    )
    commands = {finding.code: finding.commands for finding in found if finding.code}
    assert commands["CK203"] == ()
    assert [words[-1] for words in commands["CK404"]] == ["numpy>=1.26,<2"]


def test_the_packs_that_have_missing_classes_are_named_and_not_installed_by_themselves(
    make: MakeFacts,
) -> None:
    needs = {"classes": {"FaceDetailer": "ltdrdata/ComfyUI-Impact-Pack", "Mine": ""}}
    (missing,) = [finding for finding in findings(make(needs=needs)) if finding.code == "CK804"]
    assert missing.commands == (("comfykit", "install-nodes", "ltdrdata/ComfyUI-Impact-Pack"),)
    assert not missing.repairable
    assert "Mine" in str(missing.hint)


def test_records_that_time_did_not_allow_are_told(make: MakeFacts) -> None:
    said = [finding.message for finding in findings(make(installation={"unread": 7}))]
    assert any("7" in line and "--deep" in line for line in said)
