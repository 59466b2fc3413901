"""Which distribution on PyPI brings a package that is imported by another name."""

from __future__ import annotations

from collections.abc import Mapping

# Import name -> distribution; others are called what they are imported as.
_OTHER_NAMES: Mapping[str, str] = {
    "attr": "attrs",
    "bs4": "beautifulsoup4",
    "cpuinfo": "py-cpuinfo",
    "cv2": "opencv-python-headless",
    "cv2.aruco": "opencv-contrib-python-headless",
    "cv2.ximgproc": "opencv-contrib-python-headless",
    "dateutil": "python-dateutil",
    "dotenv": "python-dotenv",
    "fitz": "pymupdf",
    "git": "gitpython",
    "google.generativeai": "google-generativeai",
    "hydra": "hydra-core",
    "imwatermark": "invisible-watermark",
    "jwt": "pyjwt",
    "llama_cpp": "llama-cpp-python",
    "magic": "python-magic",
    "OpenSSL": "pyopenssl",
    "PIL": "pillow",
    "pynvml": "nvidia-ml-py",
    "pywt": "pywavelets",
    "serial": "pyserial",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "win32api": "pywin32",
    "yaml": "pyyaml",
    "zmq": "pyzmq",
}


def distribution_of(module: str) -> str:
    """The distribution that most likely brings an imported module."""
    for name in (module, module.partition(".")[0]):
        if name in _OTHER_NAMES:
            return _OTHER_NAMES[name]
    return module.partition(".")[0].replace("_", "-")
