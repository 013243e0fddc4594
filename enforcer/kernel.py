"""The kernel as the enforcer sees it: read a namespace, write a change, cut connections, probe, watch for changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from enforcer.cgroup import receive
from enforcer.change import Change
from enforcer.connections import Cut, cut_connections
from enforcer.frames import Seal
from enforcer.iptables import Commands, NotInstalled, Runner, choose_commands, other_commands, run
from enforcer.names import Family
from enforcer.netns import Netns, run_in
from enforcer.observed import INCOMPATIBLE, Observed, ObservedRule, holds_ours, parse_sets, parse_tables
from enforcer.probe import ProbeResult, probe_from
from enforcer.scope import Scope
from enforcer.watch import NetlinkWatch
from enforcer.wire import Sealed, seal_wires, senders_in
from ringfence.config import Enforce
from ringfence.errors import EnforcementFailed
from ringfence.model.quarantine import ControlledAccess

Access = Sequence[ControlledAccess]
ONLY_NFT = (
    "the {family} filter table holds what only nft can show, so iptables cannot tell what is there:"
    " move those rules to a table of their own"
)
LEGACY_TABLES = {Family.IPV4: "ip_tables_names", Family.IPV6: "ip6_tables_names"}


class Watching(Protocol):
    """Tells which namespaces may have changed."""

    def wait(self, namespaces: Sequence[Netns], seconds: float) -> Mapping[int, float]:
        """Wait for a change, `wake()` or the end of `seconds`.

        Returns the inodes that may have changed and for how many seconds they may have been so.
        """

    def wake(self) -> None:
        """Make `wait` return early; any thread may call it."""

    def close(self) -> None:
        """Let go of every namespace."""


class Rules(Protocol):
    """The rules of one namespace at a time; every method raises `EnforcementFailed` and then has changed nothing."""

    def read(self, netns: Netns) -> Observed:
        """What of ours is there, with counters."""

    def write(self, netns: Netns, change: Change) -> None:
        """Make the change: per family either all of it or nothing; when one family fails, both are as before."""

    def watch(self) -> Watching:
        """A new watch; its owner closes it."""


class Isolation(Protocol):
    """What a quarantine needs besides rules; every method raises `EnforcementFailed`."""

    def seal(self, netns: Netns, seal: Seal | None) -> Sealed:
        """Close the namespace's interfaces at their outer ends against packet sockets; None opens them again."""

    def senders(self, folder: str) -> str:
        """Who in a cgroup could send frames that no rule sees, in words; empty: nobody."""

    def receive(self, folder: str, *, allowed: bool) -> None:
        """Whether the sockets of a cgroup receive anything at all."""

    def cut(self, netns: Netns, scope: Scope | None, access: Access = ()) -> Cut:
        """Forget the tracked connections and destroy the sockets that leave the namespace; `scope`: only those.

        What `access` grants stays. A shared namespace is refused without a scope.
        """

    def probe(self, netns: Netns, scope: Scope | None, access: Access = ()) -> ProbeResult:
        """Try to reach neighbours that `access` does not open, from inside the namespace or the cgroup of `scope`."""


class Kernel(Rules, Isolation, Protocol):
    """The kernel of one host."""


class SystemKernel:
    """iptables, ip6tables, ipset, conntrack, ss, ip and tc, run inside the namespace by nsenter."""

    def __init__(self, settings: Enforce, *, runner: Runner = run) -> None:
        """Nothing is run before the first call."""
        self._settings = settings
        self._run = runner
        self._commands: Commands | None = None
        self._other: Commands | None = None
        self._alone: set[int] = set()
        """Namespaces in which nothing of ours stands in the nft backend while the legacy one is in use."""

    @property
    def commands(self) -> Commands:
        """The binaries of the backend in use, chosen once."""
        if self._commands is None:
            self._commands = choose_commands(self._settings.backend, self._run)
            self._other = other_commands(self._commands, self._run)
        return self._commands

    def read(self, netns: Netns) -> Observed:
        commands = self.commands
        tables: dict[Family, Mapping[str, tuple[ObservedRule, ...]]] = {}
        failures: dict[Family, EnforcementFailed] = {}
        for family in Family:
            text = ""
            try:
                text = self._run([commands.save(family), "-c", "-t", "filter"], netns=netns)
            except EnforcementFailed as error:
                if family is Family.IPV4:
                    raise
                failures[family] = error
            if INCOMPATIBLE in text:
                raise EnforcementFailed(ONLY_NFT.format(family=family.label))
            tables[family] = parse_tables(text)
        sets = parse_sets(self._run(["ipset", "save"], netns=netns))
        active, legacy = run_in(netns, lambda: (_ipv6_active(), _legacy_tables()))
        return Observed(
            tables=tables,
            sets=sets,
            ipv6_active=active,
            unreadable={family: str(error) for family, error in failures.items()},
            unseen=unseen_families(failures, commands, legacy),
            mixed=_mix(commands, legacy),
            elsewhere=self._elsewhere(netns, legacy),
        )

    def write(self, netns: Netns, change: Change) -> None:
        if change.sets_before:
            self._run(["ipset", "restore"], netns=netns, text=change.sets_before)
        done: list[Family] = []
        for family, text in change.tables.items():
            try:
                self._restore(netns, family, text)
                done.append(family)
            except EnforcementFailed as error:
                self._undo(netns, change, done, error)
                raise
        if self._other is not None:
            for family, text in change.elsewhere.items():
                self._restore(netns, family, text, self._other)
        if change.sets_after:
            self._run(["ipset", "restore"], netns=netns, text=change.sets_after)

    def seal(self, netns: Netns, seal: Seal | None) -> Sealed:
        return seal_wires(netns, self._run, seal)

    def senders(self, folder: str) -> str:
        return senders_in(folder)

    def receive(self, folder: str, *, allowed: bool) -> None:
        receive(folder, allowed=allowed)

    def cut(self, netns: Netns, scope: Scope | None, access: Access = ()) -> Cut:
        return cut_connections(netns, self._run, scope, access)

    def probe(self, netns: Netns, scope: Scope | None, access: Access = ()) -> ProbeResult:
        return probe_from(netns, self._run, scope, access)

    def watch(self) -> NetlinkWatch:
        return NetlinkWatch(legacy=self.commands.legacy, poll_seconds=self._settings.drift_seconds)

    def _elsewhere(
        self, netns: Netns, legacy: Mapping[Family, frozenset[str]]
    ) -> Mapping[Family, Mapping[str, tuple[ObservedRule, ...]]]:
        """What is ours in the backend that is not in use: `enforce.backend` was another once.

        The legacy tools would make their tables by looking at them, so they look only where there are some.
        """
        found: dict[Family, Mapping[str, tuple[ObservedRule, ...]]] = {}
        if self._other is None or netns.inode in self._alone:
            return found
        for family in Family:
            if not self._other.legacy or "filter" in legacy[family]:
                with suppress(EnforcementFailed):
                    table = parse_tables(self._run([self._other.save(family), "-c", "-t", "filter"], netns=netns))
                    found |= {family: table} if holds_ours(table) else {}
        if not found and not self._other.legacy:
            self._alone.add(netns.inode)
        return found

    def _restore(self, netns: Netns, family: Family, text: str, commands: Commands | None = None) -> None:
        self._run([(commands or self.commands).restore(family), "--noflush", "-w", "5"], netns=netns, text=text)

    def _undo(self, netns: Netns, change: Change, done: Sequence[Family], cause: EnforcementFailed) -> None:
        for family in done:
            try:
                self._restore(netns, family, change.undo[family])
            except EnforcementFailed as error:
                raise EnforcementFailed(f"{cause}; and {family.label} could not be put back: {error}") from cause


def unseen_families(
    failures: Mapping[Family, EnforcementFailed], commands: Commands, legacy: Mapping[Family, frozenset[str]]
) -> frozenset[Family]:
    """Of those that could not be read, the ones in which something of ours may stand: the tool and a table are there.

    `legacy` are the tables of the legacy backend; those of nft cannot be told apart before they are read.
    """
    return frozenset(
        family
        for family, error in failures.items()
        if not isinstance(error, NotInstalled) and (not commands.legacy or "filter" in legacy[family])
    )


def _ipv6_active() -> bool:
    try:
        lines = Path("/proc/thread-self/net/if_inet6").read_text(encoding="ascii").splitlines()
    except OSError:
        return False
    return any(not line.endswith(" lo") for line in lines)


def _legacy_tables() -> Mapping[Family, frozenset[str]]:
    found = {}
    for family, name in LEGACY_TABLES.items():
        try:
            found[family] = frozenset(Path("/proc/thread-self/net", name).read_text(encoding="ascii").split())
        except OSError:
            found[family] = frozenset()
    return found


def _mix(commands: Commands, legacy: Mapping[Family, frozenset[str]]) -> str:
    families = [family.label for family in Family if "filter" in legacy[family]]
    if commands.legacy or not families:
        return ""
    return f"the legacy iptables backend has a filter table here as well ({' and '.join(families)}): packets pass both"
