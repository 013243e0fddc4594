"""What this process cannot enforce on this host, each as one sentence."""

from __future__ import annotations

from ringfence.config import Enforce
from ringfence.doctor.host import Host
from ringfence.doctor.netfilter import PREFIX, TOOLS
from ringfence.doctor.rights import missing_capabilities

PROGRAMS = (
    ("iptables", "IPv4 rules cannot be written"),
    ("ip6tables", "IPv6 rules cannot be written"),
    ("ipset", "rules with peers cannot be written"),
    *((name, cost) for name, cost, _ in TOOLS),
)
"""Program and what is lost without it."""


def enforcement_limits(settings: Enforce, host: Host) -> tuple[str, ...]:
    """Sentences for the greeting and the health page; cheap enough to be asked with every heartbeat."""
    if not settings.enabled:
        return ("rules are not written and nothing is quarantined: enforce.enabled is false",)
    found = []
    if missing := missing_capabilities(host):
        found.append(
            f"rules cannot be written and nothing can be quarantined: {', '.join(missing)} missing, run as root"
        )
    suffix = PREFIX.get(settings.backend, "")
    for program, cost in PROGRAMS:
        name = f"{program}{suffix}" if program.endswith("tables") else program
        if host.find(name) is None:
            found.append(f"{cost}: {name} is not installed")
    return tuple(found)


def reporting_limits(dropped: int) -> tuple[str, ...]:
    """What is missing in the records of enforcement, drift and quarantine; `dropped` counts since the start."""
    if not dropped:
        return ()
    noun = "report" if dropped == 1 else "reports"
    return (f"{dropped} {noun} of the enforcer are in no record: the state store was away for too long",)
