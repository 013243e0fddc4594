"""What this process may do: root, capabilities, and whether it sees the host's processes."""

from __future__ import annotations

from ringfence.config import Config
from ringfence.doctor.check import Check, Group
from ringfence.doctor.host import Host

GROUP = Group("rights")
NEEDED = {12: "NET_ADMIN", 13: "NET_RAW", 21: "SYS_ADMIN"}
"""Bits in /proc/self/status, see capabilities(7)."""
HOST_PIDS = "pid:[4026531836]"
"""The first PID namespace of every Linux has this number (PROC_PID_INIT_INO)."""


def rights(config: Config, host: Host) -> tuple[Check, ...]:
    """Root or not, what is missing, and what that costs."""
    return (_root(config, host), _capabilities(config, host), _processes(host))


def _root(config: Config, host: Host) -> Check:
    if host.root:
        return GROUP.ok("root", "runs as root")
    hint = "run it with sudo; importing captures, the dashboard and reports work without root"
    if config.capture.enabled or config.enforce.enabled:
        return GROUP.fail("root", "does not run as root: connections cannot be seen and rules cannot be set", hint)
    return GROUP.ok("root", "does not run as root, and by the configuration need not")


def missing_capabilities(host: Host) -> tuple[str, ...] | None:
    """Which of those that are needed this process lacks; None where /proc does not say."""
    status = host.read("/proc/self/status") or ""
    line = next((line for line in status.splitlines() if line.startswith("CapEff:")), "")
    try:
        effective = int(line.removeprefix("CapEff:").strip(), 16)
    except ValueError:
        return None
    return tuple(name for bit, name in NEEDED.items() if not effective >> bit & 1)


def _capabilities(config: Config, host: Host) -> Check:
    missing = missing_capabilities(host)
    if missing is None:
        return GROUP.unknown("capabilities", "/proc/self/status does not say which capabilities there are")
    if not missing:
        return GROUP.ok("capabilities", f"has {', '.join(NEEDED.values())}")
    detail = f"lacks {', '.join(missing)}"
    if config.capture.enabled or config.enforce.enabled:
        added = " ".join(f"--cap-add {name}" for name in missing)
        return GROUP.fail("capabilities", detail, f"start it as root; in a container add {added}")
    return GROUP.ok("capabilities", f"{detail}, and by the configuration does not need them")


def _processes(host: Host) -> Check:
    found = host.link("/proc/self/ns/pid")
    if found is None:
        return GROUP.unknown("host processes", "/proc does not say which processes can be seen")
    if found == HOST_PIDS:
        return GROUP.ok("host processes", "sees the processes of the host")
    return GROUP.warn(
        "host processes",
        "runs in a PID namespace of its own, so it may not find the containers' network namespaces",
        "in a container start it with --pid host --network host --cgroupns host",
    )
