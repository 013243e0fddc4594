"""Docker: watches one engine. A full listing every few seconds, and events so that changes are seen at once.

The event stream alone would not do: an engine keeps 256 past events and cuts off a slow reader. So an event only says
when to look and at what; the truth is the listing.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import struct
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import docker
import requests
from docker.errors import DockerException, NotFound

from collector.containers import Process, parse_cgroup, parse_container, share_containment
from collector.inventory import Inventory, Listing
from ringfence.clock import Clock, monotonic_offset_ns, utc_now
from ringfence.log import logger
from ringfence.model.policy import Network
from ringfence.model.workload import Workload, WorkloadKind

TIMEOUT = 10.0
LONGEST_PAUSE = 30.0
SETTLE = 0.01
"""Events come in bursts: this long is waited for the rest of one."""
LATEST_STAMP = 2**62
"""Nanoseconds; a later event time is rubbish."""
_MALFORMED = (ValueError, KeyError, TypeError, AttributeError, OverflowError)
"""What an answer of another shape than an engine's raises where it is read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineState:
    """Where one endpoint stands. `missed`: containers that a listing found and no event had announced.

    `error` may be set while `connected`: a container that the engine described in a way nobody can read is left out.
    """

    name: str
    url: str
    connected: bool = False
    error: str = "not asked yet"
    version: str = ""
    containers: int = 0
    listings: int = 0
    events: int = 0
    missed: int = 0
    last_listing: str = ""


class DockerWatcher:
    """Keeps one engine's part of the inventory. `name` becomes the workloads' host."""

    def __init__(
        self,
        url: str,
        name: str,
        inventory: Inventory,
        *,
        relist_seconds: float = 10.0,
        clock: Clock = utc_now,
        own_inode: int = 0,
        proc: Path = Path("/proc"),
        connect: Callable[[str], Any] | None = None,
    ) -> None:
        """`own_inode`: the namespace that is a workload of its own already, also when the engine runs in it."""
        self._url, self._name, self._inventory = url, name, inventory
        self._relist, self._clock, self._proc, self._own = relist_seconds, clock, proc, own_inode
        self._connect = connect or connect_engine
        self._state = EngineState(name=name, url=url)
        self._client: Any = None
        self._stream: Any = None
        self._inspected: dict[str, Mapping[str, Any]] = {}
        self._unread: dict[str, str] = {}  # why, per container of the last listing
        self._touched: dict[str, datetime] = {}
        self._last_event = 0
        self._lock = threading.Lock()
        self._wake, self._stopping = threading.Event(), threading.Event()
        self._booted = datetime.fromtimestamp(monotonic_offset_ns() // 1_000_000_000, UTC)
        self._log = logger("docker").bind(endpoint=name)
        self._threads = [
            threading.Thread(target=target, name=f"docker-{kind}-{name}", daemon=True)
            for kind, target in (("list", self._keep_listing), ("events", self._keep_listening))
        ]

    def state(self) -> EngineState:
        return self._state

    @property
    def absent(self) -> bool:
        """Whether there is not even a socket: no engine runs there."""
        return lacks_socket(self._url)

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End both threads; the inventory keeps what is known."""
        self._stopping.set()
        self._wake.set()
        self._close_stream()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(TIMEOUT + 1)
        if self._client is not None:
            self._client.close()

    def list_now(self) -> bool:
        """One full listing; False when the engine does not answer (the state says why). For one thread at a time."""
        try:
            if self._client is None:
                self._client = self._connect(self._url)
            listing, at = self._listing()
        except Exception as error:  # noqa: BLE001 -- whatever an engine answers is a state, never the end of watching
            self._note(connected=False, error=explain(self._url, error))
            client, self._client = self._client, None
            if client is not None:
                client.close()
            return False
        self._note(
            connected=True,
            error="; ".join(f"container {item[:12]} is left out: {why}" for item, why in self._unread.items()),
            containers=sum(item.kind is WorkloadKind.CONTAINER for item in listing.workloads),
            listings=self._state.listings + 1,
            last_listing=self._clock().isoformat(),
        )
        self._inventory.replace(f"docker:{self._name}", listing, at)
        return True

    # -- listing -------------------------------------------------------------------------------------------------

    def _keep_listing(self) -> None:
        pause = 1.0
        while not self._stopping.is_set():
            self._wake.clear()
            if self.list_now():
                pause = 1.0
                self._wake.wait(self._relist)
                self._stopping.wait(SETTLE)
            else:
                if pause == 1.0:
                    self._log.warning("no answer from the engine", error=self._state.error)
                self._stopping.wait(pause)
                pause = min(pause * 2, LONGEST_PAUSE)

    def _listing(self) -> tuple[Listing, datetime]:
        with self._lock:
            touched, self._touched = self._touched, {}
        try:
            return self._listing_of(touched)
        except BaseException:
            with self._lock:
                self._touched = touched | self._touched  # still to be looked at
            raise

    def _listing_of(self, touched: Mapping[str, datetime]) -> tuple[Listing, datetime]:
        at = max(touched.values(), default=self._clock())
        drivers, subnets = self._networks()
        present = {item["Id"]: item for item in self._client.containers()}
        self._count_missed(present, touched)
        self._unread = {}
        workloads = [item for container in present if (item := self._read(container, drivers, touched)) is not None]
        gone = set(self._inspected) - set(present)
        workloads += [item for container in gone if (item := self._ended(container, drivers)) is not None]
        for container in gone:
            del self._inspected[container]
        # A pid may have ended between listing and inspection; the next listing tells.
        path, inode = self._own_place()
        if inode and inode != self._own:
            workloads.append(host_workload(self._name, inode, path, self._booted))
        engine = (self._name, inode) if inode else None
        return Listing(workloads=share_containment(workloads), subnets=subnets, engine=engine), at

    def _read(self, container: str, drivers: Mapping[str, str], touched: Mapping[str, datetime]) -> Workload | None:
        """One that runs; None when it is gone meanwhile or what the engine says of it makes no sense."""
        known = None if container in touched else self._inspected.get(container)
        try:
            attributes = known or self._client.inspect_container(container)
            item = parse_container(attributes, drivers=drivers, host=self._name, process=self._process(attributes))
        except NotFound:
            return None
        except _MALFORMED as error:
            self._inspected.pop(container, None)
            self._unread[container] = f"the engine's answer cannot be read ({type(error).__name__}: {error})"
            return None
        self._inspected[container] = attributes
        return item

    def _networks(self) -> tuple[dict[str, str], tuple[Network, ...]]:
        drivers: dict[str, str] = {}
        subnets: list[Network] = []
        for network in self._client.networks():
            drivers[network["Name"]] = network["Driver"]
            for pool in (network.get("IPAM") or {}).get("Config") or ():
                if pool.get("Subnet"):
                    subnets.append(ip_network(pool["Subnet"], strict=False))
        return drivers, tuple(subnets)

    def _count_missed(self, present: Mapping[str, Any], touched: Mapping[str, datetime]) -> None:
        if self._state.listings == 0:
            return
        appeared = set(present) - set(self._inspected) - set(touched) - set(self._unread)
        disappeared = set(self._inspected) - set(present) - set(touched)
        # Restarted behind our back: the listing's age of the start differs from the inspection's.
        for container in set(present) & set(self._inspected) - set(touched):
            if not self._alive(self._inspected[container]):
                appeared.add(container)
                del self._inspected[container]
        if appeared or disappeared:
            self._note(missed=self._state.missed + len(appeared) + len(disappeared))

    def _alive(self, attributes: Mapping[str, Any]) -> bool:
        return (self._proc / str(attributes["State"]["Pid"])).exists()

    def _ended(self, container: str, drivers: Mapping[str, str]) -> Workload | None:
        """The workload with the engine's time of its end, when the container still exists stopped."""
        try:
            attributes = self._client.inspect_container(container)
            item = parse_container(attributes, drivers=drivers, host=self._name, process=Process())
        except (NotFound, *_MALFORMED):
            return None
        return None if item.running else item

    def _process(self, attributes: Mapping[str, Any]) -> Process:
        pid = self._proc / str(attributes["State"]["Pid"])
        try:
            inode = (pid / "ns/net").stat().st_ino
            return Process(netns=inode, cgroup=parse_cgroup((pid / "cgroup").read_text(encoding="utf-8")))
        except OSError:
            return Process()

    def _own_place(self) -> tuple[str, int]:
        """Path and inode of the namespace in which the engine runs, as its socket tells; inode 0: not known."""
        pid = engine_pid(self._url)
        if pid is None:
            return "", 0
        path = self._proc / str(pid) / "ns/net"
        try:
            return str(path), path.stat().st_ino
        except OSError:
            return "", 0

    # -- events --------------------------------------------------------------------------------------------------

    def _keep_listening(self) -> None:
        pause = 0.5
        while not self._stopping.wait(pause):
            try:
                self._listen()
                pause = 0.5
            except Exception:  # noqa: BLE001 -- as above; a listing goes on telling what is wrong
                pause = min(pause * 2, LONGEST_PAUSE)
            if self._state.connected:
                pause = 0.5
            self._wake.set()  # what was missed meanwhile shows in a listing

    def _listen(self) -> None:
        client = self._connect(self._url)
        try:
            since = {"since": f"{self._last_event // 10**9}.{self._last_event % 10**9:09d}"} if self._last_event else {}
            filters = {"type": ["container", "network"]}
            with self._lock:
                self._stream = client.events(decode=False, filters=filters, **since)
            self._note(version=client.version().get("Version", ""))
            for line in self._lines():
                self._take(json.loads(line))
        finally:
            self._close_stream()
            client.close()

    def _lines(self) -> Any:
        buffered = b""
        for part in self._stream:
            buffered += part
            *lines, buffered = buffered.split(b"\n")
            yield from filter(bytes.strip, lines)

    def _take(self, event: Mapping[str, Any]) -> None:
        try:
            moment, container = parse_event(event)
        except _MALFORMED as error:
            # A listing will show whatever it was about.
            self._log.warning("event cannot be read", error=f"{type(error).__name__}: {error}")
            self._wake.set()
            return
        self._last_event = max(self._last_event, moment)
        if str(event.get("Action", "")).startswith("exec_"):
            return
        with self._lock:
            if container:
                self._touched[container] = datetime.fromtimestamp(moment / 1e9, UTC)
        self._note(events=self._state.events + 1)
        self._wake.set()

    def _close_stream(self) -> None:
        with self._lock:
            stream, self._stream = self._stream, None
        if stream is not None:
            with contextlib.suppress(DockerException, requests.exceptions.RequestException, OSError, *_MALFORMED):
                stream.close()

    def _note(self, **changes: Any) -> None:
        with self._lock:
            self._state = EngineState(**(asdict(self._state) | changes))


def parse_event(event: Mapping[str, Any]) -> tuple[int, str | None]:
    """Time in nanoseconds since 1970 and the container an event is about, None for another thing's.

    Raises:
        ValueError, TypeError, AttributeError: not an engine's event.
    """
    moment, actor = int(event.get("timeNano") or 0), event.get("Actor") or {}
    if not 0 <= moment < LATEST_STAMP:
        raise ValueError(f"timeNano is {moment}")
    about = actor if event.get("Type") == "container" else actor.get("Attributes") or {}
    found = about.get("ID" if about is actor else "container")
    return moment, str(found) if found else None


def connect_engine(url: str) -> Any:
    """Docker's API client.

    Raises:
        OSError, DockerException: nobody answers there.
    """
    if url.startswith("unix://"):
        # Docker's client would leave its socket open when this fails.
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
            link.settimeout(TIMEOUT)
            link.connect(url.removeprefix("unix://"))
    return docker.APIClient(base_url=url, version="auto", timeout=int(TIMEOUT))


def engine_pid(url: str) -> int | None:
    """The process that listens on a Unix socket; None for other URLs and when it does not answer."""
    if not url.startswith("unix://"):
        return None
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
        link.settimeout(TIMEOUT)
        try:
            link.connect(url.removeprefix("unix://"))
            pid: int = struct.unpack("iII", link.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]
        except OSError:
            return None
    return pid or None


def host_workload(name: str, netns: int, path: str, booted: datetime) -> Workload:
    """A host as a workload; its addresses come from its namespace."""
    return Workload(
        id=f"host:{name}",
        name=name,
        kind=WorkloadKind.HOST,
        host=name,
        labels={"name": name, "host": name, "kind": "host"},
        netns=netns,
        netns_path=path,
        started=booted,
    )


def lacks_socket(url: str) -> bool:
    return url.startswith("unix://") and not os.path.exists(url.removeprefix("unix://"))  # noqa: PTH110 - not a file


def explain(url: str, error: Exception) -> str:
    """Why an engine does not answer, in words a person can act on."""
    path = url.removeprefix("unix://")
    if lacks_socket(url):
        return f"there is no Docker socket at {path}"
    if url.startswith("unix://") and not os.access(path, os.R_OK | os.W_OK):
        return f"the Docker socket {path} may not be used by this user"
    return f"the Docker engine at {url} does not answer: {error}"
