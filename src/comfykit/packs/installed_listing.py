"""Run by the interpreter of an environment: says what is installed there, as JSON.

With the word `files` it names what each package installed, too. It is a file of its own, imports nothing but
the standard library, and runs with `-I`, so that neither the folder where the user stands nor PYTHONPATH
counts as installed.
"""

import csv
import json
import os
import platform
import sys
import sysconfig
from importlib import metadata
from pathlib import Path


def main() -> None:
    """Write one JSON object to standard output."""
    found = {}
    for distribution in metadata.distributions():
        try:
            name, version = distribution.metadata["Name"], distribution.version
            if not name or not version or name in found:
                continue
            found[name] = {
                "name": name,
                "version": version,
                "requires": distribution.requires or [],
                "direct_url": distribution.read_text("direct_url.json"),
                "files": files(distribution) if "files" in sys.argv[1:] else [],
            }
        except Exception:  # noqa: BLE001  (a stranger's broken metadata: not installed, as for pip)
            continue
    json.dump(
        {
            "distributions": list(found.values()),
            "markers": markers(),
            "paths": sysconfig.get_paths(),
            "prefix": sys.prefix,
        },
        sys.stdout,
    )


def files(distribution: metadata.Distribution) -> "list[str]":
    """Places of what a package installed; none where it has no RECORD."""
    record = distribution.read_text("RECORD") or ""
    base = str(distribution.locate_file(""))
    return [os.path.normpath(Path(base, row[0])) for row in csv.reader(record.splitlines()) if row]


def markers() -> "dict[str, str]":
    """The values of environment markers (PEP 508)."""
    about = sys.implementation.version
    implementation = f"{about.major}.{about.minor}.{about.micro}"
    if about.releaselevel != "final":
        implementation += about.releaselevel[0] + str(about.serial)
    return {
        "implementation_name": sys.implementation.name,
        "implementation_version": implementation,
        "os_name": os.name,
        "platform_machine": platform.machine(),
        "platform_release": platform.release(),
        "platform_system": platform.system(),
        "platform_version": platform.version(),
        "python_full_version": platform.python_version(),
        "platform_python_implementation": platform.python_implementation(),
        "python_version": ".".join(platform.python_version_tuple()[:2]),
        "sys_platform": sys.platform,
    }


if __name__ == "__main__":
    main()
