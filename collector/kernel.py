"""Kernel: everything that is read from it. Sockets, watched namespaces and their tables; records wait for the tick."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from collector import sysctl
from collector.addresses import addresses_in
from collector.columns import CONNTRACK, DENIED, MessageKind
from collector.conntrack import ConntrackListener
from collector.dump import TableReader
from collector.namespaces import OWN_NSID, Namespaces
from collector.nflog import DeniedListener
from collector.sysctl import Readiness
from ringfence.errors import RingfenceError
from ringfence.log import logger
from ringfence.metrics import EVENTS_READ
from ringfence.model.ruleset import PROBE_MARK
from ringfence.model.workload import Address

MOST_WAITING = 2_000_000
"""Records kept for the tick; beyond that the sockets are left alone, and the kernel counts what it cannot deliver."""
LINGER_SECONDS = 1.0
"""A namespace that ended is let go after this long, so that what it sent last is read."""
READ_SECONDS = 0.5

Records = NDArray[Any]


@dataclass(slots=True)
class Intake:
    """What was read since the last tick."""

    conntrack: list[Records] = field(default_factory=list)
    denied: list[Records] = field(default_factory=list)
    dumped: list[tuple[int, int]] = field(default_factory=list)
    gone: list[int] = field(default_factory=list)

    def merged(self) -> tuple[Records, Records]:
        """Conntrack and denied records, each one array in order of arrival.

        The enforcer's own probes prove that a quarantine holds; they are nobody's attempts.
        """
        denied = np.concatenate([np.zeros(0, DENIED), *self.denied])
        return np.concatenate([np.zeros(0, CONNTRACK), *self.conntrack]), denied[denied["mark"] != PROBE_MARK]


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """What the kernel is reached by."""

    namespaces: Callable[[], Namespaces] = Namespaces
    listener: Callable[[int], ConntrackListener] = ConntrackListener
    denied: Callable[[], DeniedListener] = DeniedListener
    reader: Callable[[str, int], TableReader] = lambda path, nsid: TableReader(path, nsid=nsid)
    prepare: Callable[[str], Readiness] = sysctl.prepare
    restore: Callable[[Mapping[int, str]], int] = sysctl.restore
    addresses: Callable[[str], frozenset[Address]] = addresses_in
    monotonic: Callable[[], float] = time.monotonic


class Kernel:
    """Opened with root rights. `sync` and `dump` belong to one thread; `take` to any."""

    def __init__(
        self,
        *,
        receive_buffer: int,
        on_addresses: Callable[[int, frozenset[Address]], None],
        on_denied: Callable[[], None] = lambda: None,
        system: System = System(),
    ) -> None:
        """`on_addresses` is told which addresses a namespace (inode) holds, `on_denied` that denied packets wait.

        Raises:
            NotPermitted, PermissionError: root rights are missing.
            OSError: the kernel lacks connection tracking.
        """
        self._on_addresses, self._on_denied, self._system = on_addresses, on_denied, system
        self._log = logger("kernel")
        self.namespaces = system.namespaces()
        try:
            self.listener = system.listener(receive_buffer)
        except BaseException:
            self.namespaces.close()
            raise
        self.denied = system.denied()
        self.failures: dict[int, str] = {}
        """Namespaces that should be watched and are not, with the reason."""
        self.impaired: dict[int, Readiness] = {}
        """Namespaces that are watched although not all of the settings there could be made."""
        self.events = 0
        self._readers: dict[int, TableReader] = {}
        self._ending: dict[int, float] = {}
        self._intake, self._waiting = Intake(), 0
        self._lock, self._stopping = threading.Lock(), threading.Event()
        self._threads = [
            threading.Thread(target=self._read, args=(self.listener, "conntrack"), name="conntrack", daemon=True),
            threading.Thread(target=self._read, args=(self.denied, "denied"), name="denied", daemon=True),
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        self._stopping.set()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(READ_SECONDS * 4)
        for reader in self._readers.values():
            reader.close()
        self.listener.close()
        self.denied.close()
        self.namespaces.close()

    @property
    def watched(self) -> tuple[int, ...]:
        """Inodes of the namespaces whose tables are read."""
        return tuple(self._readers)

    def take(self) -> Intake:
        """What waits, in order; the caller's from then on."""
        with self._lock:
            intake, self._intake, self._waiting = self._intake, Intake(), 0
        return intake

    def sync(self, wanted: Mapping[int, str]) -> tuple[int, ...]:
        """Watch these namespaces (inode -> path) and let go of others; returns those that are newly failing."""
        news = []
        for inode, path in wanted.items():
            self._ending.pop(inode, None)
            if inode in self._readers:
                continue
            try:
                self._watch(inode, path)
                self.failures.pop(inode, None)
            except (OSError, RingfenceError) as error:
                if inode not in self.failures:
                    news.append(inode)
                    self._log.warning("namespace is not observed", netns=inode, error=str(error))
                self.failures[inode] = str(error)
        for inode in set(self.failures) - set(wanted):
            del self.failures[inode]
        for inode in set(self._readers) - set(wanted):
            self._end(inode)
        return tuple(news)

    def settle(self) -> None:
        """Let go of what ended some time ago."""
        now = self._system.monotonic()
        for inode, since in list(self._ending.items()):
            if now - since >= LINGER_SECONDS:
                del self._ending[inode]
                self._dump(inode)
                self._readers.pop(inode).close()
                self.impaired.pop(inode, None)
                with self._lock:
                    self._intake.gone.append(inode)
                self.denied.forget(inode)
                self._restore(inode)
                self.namespaces.forget(inode)
        self.namespaces.expire()

    def dump(self) -> None:
        """Read every table and every namespace's addresses."""
        for inode in list(self._readers):
            if self._stopping.is_set():
                return
            if inode in self.impaired:
                with contextlib.suppress(OSError, RingfenceError):
                    self._prepare(inode)
            self._dump(inode)
            self._note_addresses(inode)

    def note_addresses(self, inodes: Iterable[int]) -> None:
        """Read the addresses of these namespaces again, those that are watched."""
        for inode in inodes:
            self._note_addresses(inode)

    def _watch(self, inode: int, path: str) -> None:
        found = self.namespaces.watch(path)
        try:
            if found != inode:
                raise OSError("the namespace was replaced by another")
            pinned, nsid = self.namespaces.path_of(inode) or path, self.namespaces.nsid_of(inode)
            self._prepare(inode)
            self._note_addresses(inode)
            self.denied.watch(inode, pinned)
            self._readers[inode] = self._system.reader(pinned, OWN_NSID if nsid is None else nsid)
        except BaseException:
            self.denied.forget(inode)
            self.impaired.pop(inode, None)
            if found not in self._readers:
                self.namespaces.forget(found)
            raise
        self._dump(inode)

    def _prepare(self, inode: int) -> None:
        path = self.namespaces.path_of(inode)
        if path is None:
            return
        readiness = self._system.prepare(path)
        if readiness.ready:
            self.impaired.pop(inode, None)
        else:
            self.impaired[inode] = readiness

    def _end(self, inode: int) -> None:
        self._ending.setdefault(inode, self._system.monotonic())

    def _restore(self, inode: int) -> None:
        """It may live on without being watched: then it gets its own settings back."""
        path = self.namespaces.path_of(inode)
        if path is not None:
            with contextlib.suppress(OSError, RingfenceError):
                self._system.restore({inode: path})

    def _dump(self, inode: int) -> None:
        started = time.time_ns()
        try:
            records = self._readers[inode].dump()
        except OSError as error:
            self._log.warning("table cannot be read", netns=inode, error=str(error))
            return
        EVENTS_READ.labels(type="dump").inc(len(records))
        with self._lock:
            self._intake.conntrack.append(records)
            if not self._readers[inode].interrupted:
                self._intake.dumped.append((inode, started))

    def _note_addresses(self, inode: int) -> None:
        path = self.namespaces.path_of(inode)
        if path is not None:
            with contextlib.suppress(OSError, RingfenceError):
                self._on_addresses(inode, self._system.addresses(path))

    def _read(self, source: ConntrackListener | DeniedListener, kind: str) -> None:
        while not self._stopping.is_set():
            if self._waiting > MOST_WAITING:
                self._stopping.wait(0.05)
                continue
            try:
                records = source.read(READ_SECONDS)
            except (OSError, ValueError) as error:
                if not self._stopping.is_set():
                    self._log.error("reading stopped for a moment", source=kind, error=str(error))
                    self._stopping.wait(1.0)
                continue
            if len(records):
                self._keep(records, kind)

    def _keep(self, records: Records, kind: str) -> None:
        with self._lock:
            (self._intake.conntrack if kind == "conntrack" else self._intake.denied).append(records)
            self._waiting += len(records)
            self.events += len(records)
        if kind == "conntrack":
            new = int(np.count_nonzero(records["kind"] == MessageKind.NEW))
            EVENTS_READ.labels(type="new").inc(new)
            EVENTS_READ.labels(type="destroy").inc(len(records) - new)
        else:
            EVENTS_READ.labels(type="denied").inc(len(records))
            self._on_denied()
