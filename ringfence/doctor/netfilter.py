"""What netfilter can do here, found out by really making rules, in a network namespace that is thrown away."""

from __future__ import annotations

import sys

from ringfence.config import Config
from ringfence.doctor.check import Check, Group
from ringfence.doctor.host import Host, Inside, Ran

GROUP = Group("netfilter")
BACKENDS = Group("iptables")
PREFIX = {"nft": "-nft", "legacy": "-legacy", "auto": ""}
FEATURES: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("rules", ("-j", "DROP"), "nothing can be enforced"),
    ("conntrack", ("-m", "conntrack", "--ctstate", "NEW,ESTABLISHED", "-j", "ACCEPT"), "nothing can be enforced"),
    ("connmark", ("-j", "CONNMARK", "--set-xmark", "0x100/0xffff00"), "flows cannot name the rule that allowed them"),
    (
        "NFLOG",
        ("-j", "NFLOG", "--nflog-group", "21062", "--nflog-prefix", "rf:i:1"),
        "denied connections are dropped, but not seen",
    ),
    ("comment", ("-m", "comment", "--comment", "ringfence", "-j", "ACCEPT"), "rules cannot carry their digest"),
    ("reject", ("-j", "REJECT"), "`reject` rules cannot answer"),
)
TOOLS = (
    ("conntrack", "a quarantine cannot cut what is connected already", "conntrack"),
    ("ss", "a quarantine cannot end sockets, programs wait for their time-out", "iproute2"),
    ("tc", "a quarantine cannot close interfaces against packet sockets", "iproute2"),
    ("nsenter", "no rule can be written in a container's namespace", "util-linux"),
)
"""Program, what is lost without it, and its package."""
CGROUP = ("-m", "cgroup", "--path", "/", "-j", "ACCEPT")
SETTABLE = """import pathlib, sys
for name in ("acct", "timestamp", "events"):
    pathlib.Path("/proc/sys/net/netfilter/nf_conntrack_" + name).write_text("1")
"""


def netfilter(config: Config, host: Host) -> tuple[Check, ...]:
    """Both address families, sets, and the settings of a fresh namespace."""
    suffix = PREFIX.get(config.enforce.backend, "")
    with host.throwaway_namespace() as inside:
        if isinstance(inside, str):
            return (GROUP.unknown("netfilter", f"could not be tried: {inside}", "run the doctor as root"),)
        return (
            *_family(host, inside, f"iptables{suffix}", "IPv4"),
            *_family(host, inside, f"ip6tables{suffix}", "IPv6"),
            *_sets(host, inside, f"iptables{suffix}"),
            *_tools(host),
            _cgroup(host, inside, f"iptables{suffix}"),
            _settings(inside),
        )


def _family(host: Host, inside: Inside, command: str, family: str) -> tuple[Check, ...]:
    if host.find(command) is None:
        hint = "install the package iptables" if "-" not in command else "set enforce.backend to auto"
        return (GROUP.fail(family, f"{command} is not installed: {family} cannot be enforced", hint),)
    failed: list[Check] = []
    for name, rule, cost in FEATURES:
        ran = inside([command, "-w", "5", "-A", "INPUT", *rule])
        if not ran.worked:
            failed.append(GROUP.fail(f"{family} {name}", f"{ran.words}: {cost}", _module(name)))
    worked = [name for name, _, _ in FEATURES if not any(check.name == f"{family} {name}" for check in failed)]
    if not worked:
        return (GROUP.fail(family, f"no rule can be made: {failed[0].detail}", "load the kernel's netfilter modules"),)
    return (GROUP.ok(family, f"{command} makes rules, with {', '.join(worked[1:])}"), *failed)


def _module(name: str) -> str:
    modules = {"conntrack": "xt_conntrack", "connmark": "xt_connmark", "NFLOG": "xt_NFLOG", "comment": "xt_comment"}
    return f"modprobe {modules.get(name, 'ip_tables')}, or use a kernel that has it"


def _sets(host: Host, inside: Inside, command: str) -> tuple[Check, ...]:
    if host.find("ipset") is None:
        return (
            GROUP.fail("ipset", "ipset is not installed: policies cannot be enforced", "install the package ipset"),
        )
    for family in ("inet", "inet6"):
        made = inside(["ipset", "create", f"rfdoctor-{family}", "hash:net", "family", family])
        if not made.worked:
            return (GROUP.fail("ipset", f"no set can be made: {made.words}", "modprobe ip_set_hash_net"),)
    matched = inside(
        [command, "-w", "5", "-A", "INPUT", "-m", "set", "--match-set", "rfdoctor-inet", "src", "-j", "DROP"]
    )
    if not matched.worked:
        return (GROUP.fail("ipset", f"sets cannot be matched in rules: {matched.words}", "modprobe xt_set"),)
    return (GROUP.ok("ipset", "sets of both families can be made and matched"),)


def _tools(host: Host) -> tuple[Check, ...]:
    missing = [item for item in TOOLS if host.find(item[0]) is None]
    if not missing:
        return (GROUP.ok("tools", f"{', '.join(name for name, _, _ in TOOLS)} are installed"),)
    return tuple(
        GROUP.warn(name, f"{name} is not installed: {cost}", f"install the package {package}")
        for name, cost, package in missing
    )


def _cgroup(host: Host, inside: Inside, command: str) -> Check:
    if host.find(command) is None:
        return GROUP.unknown("cgroup match", f"{command} is not installed")
    ran = inside([command, "-w", "5", "-A", "OUTPUT", *CGROUP])
    if ran.worked:
        return GROUP.ok("cgroup match", "containers on the host's network can be told apart by cgroup path")
    return GROUP.warn(
        "cgroup match",
        f"{ran.words}: containers on the host's network cannot be contained",
        "needs cgroup2 mounted and the kernel's xt_cgroup",
    )


def _settings(inside: Inside) -> Check:
    ran = inside([sys.executable, "-c", SETTABLE])
    name = "tracking settings"
    if ran.worked:
        return GROUP.ok(name, "counts, time stamps and events can be switched on per namespace")
    return GROUP.warn(
        name, f"cannot be switched on in a namespace: {ran.words}", "run as root, with /proc/sys writable"
    )


def backends(config: Config, host: Host) -> tuple[Check, ...]:
    """Which backend `iptables` and `ip6tables` are, and whether rules stand on both sides here (read only)."""
    if host.find("iptables") is None:
        return (BACKENDS.fail("backend", "iptables is not installed", "install the package iptables"),)
    version = host.run(["iptables", "--version"])
    if not version.worked:
        return (BACKENDS.unknown("backend", f"iptables does not say its version: {version.words}"),)
    return _backend(version.output.strip(), config.enforce.backend, host), _mix(host)


def _backend(words: str, wished: str, host: Host) -> Check:
    backend = _named(words)
    told = f"{words}: {backend}" + ("" if wished == "auto" else f"; configured: {wished}")
    ipv6 = host.run(["ip6tables", "--version"])
    if ipv6.worked and _named(ipv6.output) != backend:
        told = f"{told}; but ip6tables is {_named(ipv6.output)}"
        return BACKENDS.warn("backend", told, "set both alternatives, iptables and ip6tables, to the same side")
    return BACKENDS.ok("backend", told)


def _named(version: str) -> str:
    return "nft" if "nf_tables" in version else "legacy"


def _mix(host: Host) -> Check:
    name = "legacy and nft"
    counts = {side: _rules(host, side) for side in ("legacy", "nft")}
    unknown = [side for side, count in counts.items() if count is None]
    if all(counts.values()):
        return BACKENDS.warn(
            name,
            f"rules stand on both sides here: {counts['legacy']} legacy, {counts['nft']} nft; a packet meets both",
            "move them to one side: what one side allows the other may drop, and each tool shows only its own",
        )
    if unknown:
        return BACKENDS.unknown(name, f"the {' and '.join(unknown)} side could not be read", "run the doctor as root")
    side = next((side for side, count in counts.items() if count), None)
    return BACKENDS.ok(name, f"rules only on the {side} side" if side else "no rules on either side here")


def _rules(host: Host, side: str) -> int | None:
    """Rules of one backend in this namespace, both families; None when they cannot be read."""
    tables = {"iptables": "/proc/net/ip_tables_names", "ip6tables": "/proc/net/ip6_tables_names"}
    total = 0
    for family, names in tables.items():
        if side == "legacy":
            # Asking for a legacy table would load it: look first at which there are.
            loaded = host.read(names)
            if loaded is None and host.exists(names):
                return None
            if not loaded:
                continue
        command = f"{family}-{side}-save"
        if host.find(command) is None:
            continue
        ran = host.run([command])
        if not ran.worked:
            return None
        total += _count(ran)
    return total


def _count(ran: Ran) -> int:
    return sum(line.startswith("-A ") for line in ran.output.splitlines())
