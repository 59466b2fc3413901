"""What a change of packs does to the environment: packages come and go, scripts run, the core stays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from comfykit.errors import PackError
from comfykit.events import PackStep, Reporter
from comfykit.home import Home
from comfykit.packs.change import apply
from comfykit.packs.environment import OURSELVES, Environment, Installed, core, look
from comfykit.packs.installed import path_of, read_packages
from comfykit.packs.needed import needed_by_packs
from comfykit.packs.requirements import Wanted
from comfykit.packs.resolution import Change, Resolution
from comfykit.services.pack_scripts import Script, run_script


def change_packages(
    resolution: Resolution,
    scripts: Sequence[Script],
    home: Home,
    environment: Environment,
    installed: Installed,
    reporter: Reporter,
) -> None:
    """Install a resolution, then run the scripts that a person allowed, one after the other.

    Raises `PackError` where a package or a script fails, and where a script moved the core; the caller takes
    everything back then.
    """
    apply(resolution, environment, reporter, keep_all=bool(scripts))
    kept = {name: installed.distributions[name].version for name in core(installed)}
    pinned = {name: version for name, version in kept.items() if name != OURSELVES}
    for script in scripts:
        reporter(PackStep(script.pack, f"running {script.name}"))
        place = path_of(home, script.pack, enabled=True)
        run_script(place, script, environment, pinned, home=home.root)
        _check_core(script, kept, look(environment))


def without_orphans(wanted: Sequence[Wanted], home: Home, installed: Installed) -> Resolution:
    """Packages that were installed for packs, and that none of those that stay needs any more, go."""
    needed = needed_by_packs(installed, wanted)
    ours = read_packages(home, installed.prefix) & set(installed.distributions)
    gone = sorted(ours - set(needed) - core(installed))
    return Resolution(
        tuple(Change(name, installed.distributions[name].frozen, None) for name in gone),
        before=installed.frozen(),
    )


def _check_core(script: Script, kept: Mapping[str, str], now: Installed) -> None:
    moved = [name for name in sorted(kept) if now.version(name) != kept[name]]
    if moved:
        told = ", ".join(f"{name} {kept[name]} -> {now.version(name) or 'nothing'}" for name in moved)
        raise PackError(
            f"{script.pack}/{script.name} changed what comfykit stands on ({told})",
            hint="install the pack without --run-scripts",
        )
