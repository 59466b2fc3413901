"""What comfykit needs to run: the lower bounds of pyproject.toml, and a test holds the two together."""

from __future__ import annotations

from collections.abc import Mapping

PYTHON = "3.11"
TORCH = "2.10"
NUMPY = "1.26"

# The other libraries, by the name of their distribution.
LIBRARIES: Mapping[str, str] = {
    "transformers": "5.0",
    "tokenizers": "0.20",
    "safetensors": "0.4.5",
    "pillow": "10.3",
    "scipy": "1.11",
    "torchsde": "0.2.6",
    "httpx": "0.27",
    "aria2p": "0.12",
    "gitpython": "3.1.50",
    "psutil": "5.9",
    "pyyaml": "6",
    "rich": "13.7",
    "typer": "0.15",
    "uv": "0.13",
    "packaging": "24",
}
