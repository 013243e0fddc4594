"""The kernel: version, settings of connection tracking, receive buffer, address families, bridges, clock."""

from __future__ import annotations

import ctypes
import re
import socket

from ringfence.config import Config
from ringfence.doctor.check import Check, Group
from ringfence.doctor.host import Host

GROUP = Group("kernel")
TRACKING = Group("connection tracking")
NETWORK = Group("network")
OLDEST, ADVISED = (4, 5), (5, 4)
"""4.2 brought events from all namespaces, 4.5 matching by cgroup path; 5.4 is the oldest that is tried."""
SO_RCVBUFFORCE = 33
CONNTRACK = "/proc/sys/net/netfilter/nf_conntrack_"
TIME_ERROR = 5
"""What adjtimex(2) returns when the clock is not synchronised."""


def kernel(config: Config, host: Host) -> tuple[Check, ...]:
    """Everything about the kernel that needs no rule to find out."""
    return (
        _version(host),
        clock(clock_state()),
        *_tracking(host),
        receive_buffer(config, forced_buffer(config.capture.receive_buffer)),
        _ipv6(host),
        _bridge(host),
    )


def _version(host: Host) -> Check:
    found = re.match(r"(\d+)\.(\d+)", host.kernel)
    if found is None:
        return GROUP.unknown("version", f"{host.kernel!r} is no kernel version")
    version = (int(found[1]), int(found[2]))
    if version < OLDEST:
        return GROUP.fail("version", f"Linux {host.kernel}", "Linux 4.5 or later is needed, 5.4 or later advised")
    if version < ADVISED:
        return GROUP.warn("version", f"Linux {host.kernel}", "Linux 5.4 or later is advised: nothing older is tried")
    return GROUP.ok("version", f"Linux {host.kernel}")


SETTINGS = {
    "acct": ("byte and packet counts", "connections are counted, their bytes are not"),
    "timestamp": ("time stamps", "start and end are stamped when the event is read"),
    "events": ("events", "connections are seen only when the table is read"),
}


def _tracking(host: Host) -> tuple[Check, ...]:
    return tuple(_setting(host, key, name, cost) for key, (name, cost) in SETTINGS.items())


def _setting(host: Host, key: str, name: str, cost: str) -> Check:
    value = host.read(CONNTRACK + key)
    setting = f"net.netfilter.nf_conntrack_{key}"
    if value is None:
        return TRACKING.unknown(
            name, f"{setting} is not there yet: the module loads with the first rule", "see the checks under netfilter"
        )
    if value != "0":
        word = "on" if value == "1" else "on when somebody listens"
        return TRACKING.ok(name, f"{setting} is {value} ({word}) in this namespace")
    return TRACKING.warn(
        name,
        f"{setting} is 0 in this namespace: {cost}",
        f"Ringfence sets it in every namespace it watches; for others: sysctl -w {setting}=1",
    )


def forced_buffer(wished: int) -> int | None:
    """The receive buffer the kernel gives a netlink socket, in bytes as asked for; None when there is no netlink."""
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12) as probe:
            try:
                probe.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, wished)
            except OSError:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, wished)
            # The kernel doubles what is asked for, for its own bookkeeping: socket(7).
            return probe.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // 2
    except OSError:
        return None


def receive_buffer(config: Config, given: int | None) -> Check:
    """What was got of the buffer that was wished for."""
    wished = config.capture.receive_buffer
    if given is None:
        return TRACKING.fail(
            "receive buffer", "the kernel gives no netlink socket", "the kernel needs CONFIG_NETFILTER_NETLINK"
        )
    events = given * 2 // 1280
    detail = f"{given:,} of {wished:,} bytes, room for about {events:,} events"
    if given >= wished:
        return TRACKING.ok("receive buffer", detail)
    hint = f"run as root, or: sysctl -w net.core.rmem_max={wished}"
    return TRACKING.warn("receive buffer", f"{detail}; bursts beyond that are lost and counted", hint)


def _ipv6(host: Host) -> Check:
    disabled = host.read("/proc/sys/net/ipv6/conf/all/disable_ipv6")
    if disabled is None:
        return NETWORK.ok("address families", "IPv4; the kernel has no IPv6, so there is nothing to watch")
    if disabled == "1":
        return NETWORK.ok("address families", "IPv4; IPv6 is disabled here, containers may still have it")
    return NETWORK.ok("address families", "IPv4 and IPv6")


def _bridge(host: Host) -> Check:
    values = {name: host.read(f"/proc/sys/net/bridge/bridge-nf-call-{name}") for name in ("iptables", "ip6tables")}
    name = "bridge netfilter"
    if values["iptables"] is None:
        return NETWORK.unknown(
            name,
            "the module br_netfilter is not loaded",
            "needed only on the host side, for containers that hold NET_ADMIN: modprobe br_netfilter",
        )
    if "0" in values.values():
        return NETWORK.warn(
            name,
            f"bridge-nf-call-iptables is {values['iptables']}, -ip6tables is {values['ip6tables']}",
            "containers that hold NET_ADMIN and share a bridge cannot be enforced from the host side",
        )
    return NETWORK.ok(name, "traffic over bridges passes the host's rules")


def clock_state() -> int | None:
    """What adjtimex(2) says of the clock, read-only; None when it may not be asked."""
    try:
        library = ctypes.CDLL(None, use_errno=True)
        # struct timex is 208 bytes on 64-bit; all zero means: change nothing.
        state = int(library.adjtimex(ctypes.create_string_buffer(512)))
    except (OSError, AttributeError):
        return None
    return state if state >= 0 else None


def clock(state: int | None) -> Check:
    """Whether times of several hosts can be compared."""
    if state is None:
        return GROUP.unknown("clock", "the kernel does not say whether the clock is synchronised")
    if state == TIME_ERROR:
        return GROUP.unknown(
            "clock",
            "the kernel does not know the clock to be synchronised",
            "with several hosts run chrony or systemd-timesyncd, or their times cannot be compared",
        )
    return GROUP.ok("clock", "synchronised")
