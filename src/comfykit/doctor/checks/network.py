"""The hubs answer, and the clock agrees with them."""

from __future__ import annotations

from collections.abc import Iterator

from comfykit.doctor.catalogue import finding, fine
from comfykit.doctor.facts import Facts
from comfykit.doctor.interface import Finding

CLOCK_SECONDS = 300


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
        yield finding(
            "CK611", f"this machine's clock is {abs(network.clock) / 60:.0f} minutes {direction} the servers'"
        )
    answering = [host for host in network.hosts if host not in silent]
    if answering:
        through = f" (through a proxy for {', '.join(network.proxies)})" if network.proxies else ""
        yield fine("network", f"{', '.join(answering)} answer{through}")
