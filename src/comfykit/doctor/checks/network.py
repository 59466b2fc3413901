"""The hubs answer, and the clock agrees with them."""

from __future__ import annotations

from collections.abc import Iterator

from comfykit.doctor.catalogue import finding, fine
from comfykit.doctor.commands import install
from comfykit.doctor.facts import Facts
from comfykit.doctor.interface import Finding

CLOCK_SECONDS = 300
DAY_SECONDS = 86_400
PROGRAMS = {8188: "ComfyUI's", 6800: "aria2's"}


def check(facts: Facts) -> Iterator[Finding]:
    """Judge what the network said, where it was asked."""
    network = facts.network
    if network is None:
        return
    silent = {host: reason for host, reason in network.hosts.items() if reason is not None}
    for host, reason in silent.items():
        code = "CK613" if "certificate" in reason else "CK612"
        yield finding(code, f"{host} does not answer: {reason}")
    if network.clock is not None and abs(network.clock) > CLOCK_SECONDS:
        direction = "ahead of" if network.clock > 0 else "behind"
        ahead = abs(network.clock)
        much = f"{ahead / 60:.0f} minutes" if ahead < 2 * DAY_SECONDS else f"{ahead / DAY_SECONDS:.0f} days"
        whose = "the servers'" if network.hosts else "the day this comfykit was made"
        yield finding("CK611", f"this machine's clock is {much} {direction} {whose}")
    if network.socks and facts.packages and facts.version("socksio") is None:
        wanted = [install(facts, "socksio", "pysocks")] if facts.ours else []
        yield finding("CK615", "a SOCKS proxy is set, and socksio is not installed", commands=wanted)
    if network.taken:
        ports = ", ".join(
            f"{port} ({PROGRAMS[port]})" if port in PROGRAMS else f"{port}" for port in network.taken
        )
        yield fine("network", f"a program on this machine listens on port {ports}")
    answering = [host for host in network.hosts if host not in silent]
    if answering:
        through = f" (through a proxy for {', '.join(network.proxies)})" if network.proxies else ""
        yield fine("network", f"{', '.join(answering)} answer{through}")
