"""All checks in the order a person reads them; one that breaks is a check that says so, never the end of the others."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ringfence.config import Config
from ringfence.doctor.check import Check, CheckState
from ringfence.doctor.engines import engines
from ringfence.doctor.host import Host
from ringfence.doctor.kernel import kernel
from ringfence.doctor.netfilter import backends, netfilter
from ringfence.doctor.place import place
from ringfence.doctor.rights import rights

Examination = Callable[[], Sequence[Check]]


def examine(config: Config, host: Host | None = None) -> tuple[Check, ...]:
    """Look at everything. Takes a second or two; changes nothing outside a namespace of its own; never raises."""
    machine = host or Host()
    return run_all(
        {
            "rights": lambda: rights(config, machine),
            "kernel": lambda: kernel(config, machine),
            "netfilter": lambda: netfilter(config, machine),
            "iptables": lambda: backends(config, machine),
            "docker": lambda: engines(config, machine),
            "place": lambda: place(config),
        }
    )


def run_all(examinations: dict[str, Examination]) -> tuple[Check, ...]:
    """The checks of each, or one check of state unknown where an examination broke."""
    found: list[Check] = []
    for group, look in examinations.items():
        try:
            found += look()
        except Exception as error:  # noqa: BLE001 -- a doctor that dies of one symptom finds no other
            detail = f"could not be examined: {type(error).__name__}: {error}"[:300]
            found.append(Check(group=group, name=group, state=CheckState.UNKNOWN, detail=detail))
    return tuple(found)
