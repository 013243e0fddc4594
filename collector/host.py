"""Host: the collector of one kernel. Inventory and kernel records in, batches in the spool out.

Works degraded: without root it captures nothing and says so, without Docker it knows only the host and the file.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from collector.aggregate import Aggregator
from collector.attribution import Attribution
from collector.cadence import Cadence
from collector.docker import DockerWatcher, host_workload
from collector.inventory import Inventory, Listing, namespaces_of
from collector.kernel import Intake, Kernel
from collector.losses import Losses, obstacles, unseen
from collector.resume import latest_open
from collector.spool import Spool
from collector.static import SOURCE as FILE
from collector.static import WorkloadFile
from collector.telling import Telling
from ringfence.clock import Clock, monotonic_offset_ns
from ringfence.config import Config, docker_endpoints
from ringfence.errors import RingfenceError
from ringfence.log import logger, note_failure
from ringfence.metrics import FLOWS_EMITTED, LOOP_FAILURES, RECEIVE_BUFFER
from ringfence.model.flow import FLOW_SCHEMA, FlowBatch
from ringfence.model.policy import Network
from ringfence.model.verdict import RuleRef
from ringfence.model.workload import Address, Workload, WorkloadKind

BATCH_ROWS = 20_000
ENGINE_PATIENCE = 60.0
"""Seconds that open flows of before wait for an engine that does not answer, before they count as lost."""
NOT_TOLD = "connections are not captured yet: the flow store has not told which of them were counted before"
TICKS_HELD = 3
"""What was read is in the spool this many ticks later: two for what waits for its namespace, one for its flow."""
UNREAD = timedelta(seconds=1)
"""What is younger may still have waited in a socket, or with its reader, when a tick took what had been read."""
NONE_OPEN = FLOW_SCHEMA.empty_table()
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class Collector:
    """Everything that sees. `workloads`, `spool`, `status` may be used from any thread at any time."""

    def __init__(
        self,
        config: Config,
        *,
        host: str,
        data_dir: Path,
        clock: Clock,
        rule_names: Callable[[int], RuleRef | None],
        slots: Callable[[], Mapping[int, str]] = dict,
        on_workloads: Callable[[Sequence[Workload]], None] = lambda workloads: None,
        resume: pa.Table | None = NONE_OPEN,
        open_kernel: Callable[..., Kernel] = Kernel,
    ) -> None:
        """`on_workloads` gets every run known, those that ended during the last hour too, and the named networks
        outside, after each change, in a thread of its own and again until it returns.

        `resume`: rows of `FLOW_SCHEMA` that the store has as open for this host; None: not known yet, and
        nothing is captured before `capture` tells.
        """
        self._config, self._host, self._clock = config, host, clock
        self._log = logger("collector")
        self._stopping, self._inventory_news, self._denials = threading.Event(), threading.Event(), threading.Event()
        self.spool = Spool(data_dir / "spool", host=host, max_bytes=config.spool.max_bytes, clock=clock)
        self._resume = latest_open(resume, self.spool) if resume is not None else None
        self._beginning = threading.Lock()
        self.inventory = Inventory(clock=clock)
        self._telling = Telling(
            lambda: on_workloads(self.inventory.snapshot().known), failed=lambda: self._note_failure("tell")
        )
        self.inventory.on_change(self._changed)
        self._file = WorkloadFile(data_dir / "workloads.json", self.inventory, host=host, clock=clock)
        self._attribution = Attribution(self.inventory.snapshot, slots)
        self._rule_names = rule_names
        self._losses = Losses(host, clock)
        self._open = open_kernel
        self._kernel: Kernel | None = None
        self._aggregator: Aggregator | None = None
        self._limit = NOT_TOLD if resume is None else ""
        """Why nothing is captured, as long as nothing is."""
        own = Path("/proc/self/ns/net")
        inode = own.stat().st_ino
        docker = partial(
            DockerWatcher,
            inventory=self.inventory,
            relist_seconds=config.docker.relist_seconds,
            clock=clock,
            own_inode=inode,
        )
        self._dockers = [docker(url, name) for name, url in docker_endpoints(config)]
        booted = datetime.fromtimestamp(monotonic_offset_ns() // 1_000_000_000, UTC)
        machine = host_workload(host, inode, str(own), booted)
        self.inventory.replace("host", Listing(workloads=(machine,)))
        self._resumed = False
        self._last_tick = 0.0
        self._taken: deque[datetime] = deque(maxlen=TICKS_HELD + 1)
        """When the last ticks took what had been read."""
        self._flows_written = 0
        self._threads = [
            threading.Thread(target=self._keep_ticking, name="tick", daemon=True),
            threading.Thread(target=self._keep_watching, name="watch", daemon=True),
        ]

    def start(self) -> None:
        """Begin; returns at once. What cannot be done is in `status()["limits"]`."""
        down = self.spool.downtime()
        if down is None:
            # Killed before the first tick is told, this run too leaves the moment since when something may be missing.
            self.spool.beat()
        else:
            self._losses.add(down)
        with self._beginning:
            self._open_kernel()
            self._begin()
        self._losses.note_outages(unseen(self._kernel if self._aggregator else None, self._limit))
        for docker in self._dockers:
            docker.start()
        for thread in self._threads:
            thread.start()
        self._telling.start()

    def capture(self, resume: pa.Table) -> None:
        """Capture from now on; `resume` as in the constructor, where it was not known yet."""
        with self._beginning:
            if self._aggregator is None:
                self._resume = latest_open(resume, self.spool)
                self._begin()

    def stop(self) -> None:
        """End: what was read is written into the spool first."""
        self._stopping.set()
        self._inventory_news.set()
        self._denials.set()
        for thread in reversed(self._threads):
            if thread.ident is not None:
                thread.join(15)
        for docker in self._dockers:
            docker.stop()
        try:
            self.spool.beat(self._last_words())
        finally:
            if self._kernel is not None:
                self._kernel.close()
            self._telling.stop()

    def _last_words(self) -> datetime | None:
        """The last tick; returns until when all is in the spool."""
        homeless = self._discarded().get("unwatched", 0)
        self._tick(hold=False)
        if not self._taken:
            return None
        # What had no namespace yet is left out now; the time it may have come in is not claimed.
        return self._taken[-1 if self._discarded().get("unwatched", 0) == homeless else 0]

    def workloads(self) -> tuple[Workload, ...]:
        """Those that run now."""
        return self.inventory.workloads()

    def complete_hosts(self) -> frozenset[str]:
        """The hosts all of whose workloads are known by now: every engine and the file have told theirs once."""
        told = self.inventory.sources
        names = {docker.state().name for docker in self._dockers}
        waiting = {name for name in names if f"docker:{name}" not in told}
        if FILE not in told or self._file.problem:
            waiting.add(self._host)
        return frozenset(names | {self._host}) - waiting

    def settled(self) -> bool:
        """Whether all is known that rules are made of: every host's workloads, the addresses in their namespaces."""
        told = self.inventory.sources
        if FILE not in told or any(
            f"docker:{item.state().name}" not in told and not item.absent for item in self._dockers
        ):
            return False
        kernel = self._kernel
        return kernel is None or {item.netns for item in self.workloads()} <= {None, *kernel.watched, *kernel.failures}

    def held(self) -> tuple[tuple[Network, Workload], ...]:
        """Networks that belong to workloads beside their attachments: named external ones, link-local addresses."""
        return self.inventory.held()

    def status(self) -> dict[str, Any]:
        """Plain figures for the health page; `limits` are sentences on what does not work here."""
        kernel, aggregator = self._kernel, self._aggregator
        lag = time.monotonic() - self._last_tick if self._last_tick else None
        return {
            "limits": list(self._limits()),
            "capturing": aggregator is not None,
            "events": kernel.events if kernel else 0,
            "lost": self._losses.lost,
            "unreadable": kernel.listener.unreadable + kernel.denied.unreadable if kernel else 0,
            "receive_buffer": kernel.listener.receive_buffer if kernel else 0,
            "namespaces": len(kernel.watched) if kernel else 0,
            "unobserved": {str(inode): reason for inode, reason in dict(kernel.failures).items()} if kernel else {},
            "workloads": len(self.workloads()),
            "open_flows": aggregator.open_flows if aggregator else 0,
            "flows_written": self._flows_written,
            "discarded": self._discarded(),
            "spool_bytes": self.spool.bytes,
            "spool_batches": len(self.spool),
            "lag_seconds": round(lag, 3) if lag is not None else None,
            "docker": [asdict(docker.state()) for docker in self._dockers],
        }

    def _discarded(self) -> dict[str, int]:
        return dict(self._aggregator.discarded) if self._aggregator else {}

    def _limits(self) -> Sequence[str]:
        found = [self._limit] if self._limit and self._aggregator is None else []
        found += [docker.state().error for docker in self._dockers if docker.state().error]
        if self._file.problem:
            found.append(self._file.problem)
        if self._kernel is not None:
            found += obstacles(self._kernel, {item.netns: item.name for item in self.workloads()})
        return found

    # -- kernel and namespaces -----------------------------------------------------------------------------------

    def _open_kernel(self) -> None:
        capture = self._config.capture
        if not capture.enabled:
            self._limit = "connections are not captured: capture.enabled is false"
            return
        try:
            self._kernel = self._open(
                receive_buffer=capture.receive_buffer, on_addresses=self._note_addresses, on_denied=self._denials.set
            )
        except (OSError, RingfenceError) as error:
            self._limit = f"connections are not captured: {error} (root is needed)"
            self._log.warning("no capture", error=str(error))
            return
        RECEIVE_BUFFER.set(self._kernel.listener.receive_buffer)
        self._losses.begin()
        self._kernel.start()

    def _begin(self) -> None:
        """Count connections, once there is a kernel to read and it is known what a former run has counted."""
        if self._kernel is None or self._resume is None:
            return
        capture = self._config.capture
        self._aggregator = Aggregator(
            host=self._host,
            boot_id=BOOT_ID.read_text(encoding="ascii").strip(),
            attribution=self._attribution,
            inodes_of=self._kernel.namespaces.inodes_of,
            mark_mask=self._config.enforce.mark_mask,
            rule_names=self._rule_names,
            denied_idle_seconds=capture.denied_idle_seconds,
            most_denied=capture.most_denied,
            include_loopback=capture.include_loopback,
            resume=self._resume,
        )

    def _note_addresses(self, inode: int, addresses: frozenset[Address]) -> None:
        self.inventory.set_local(inode, addresses)

    def _changed(self) -> None:
        self._telling.changed()
        self._inventory_news.set()

    def _keep_watching(self) -> None:
        """Follow the inventory: new namespaces are watched at once, tables are read every so often."""
        started = time.monotonic()
        next_dump = 0.0
        while not self._stopping.is_set():
            news = self._inventory_news.wait(0.25)
            self._inventory_news.clear()
            try:
                self._file.poll()
                if self._kernel is not None:
                    self._follow(self._kernel)
                    if news:
                        # A new network gives its host an address.
                        self._kernel.note_addresses(self._host_namespaces())
                    if time.monotonic() >= next_dump:
                        next_dump = time.monotonic() + self._config.capture.dump_seconds
                        aggregator = self._aggregator
                        self._kernel.dump()
                        self._resume_when_complete(aggregator, started)
            except Exception:  # noqa: BLE001 -- watching outlives any error; it is counted and logged
                if news:
                    self._inventory_news.set()
                self._fail("watch")

    def _follow(self, kernel: Kernel) -> None:
        wanted = namespaces_of(self.workloads())
        kernel.sync(wanted)
        kernel.settle()
        for inode in set(self.inventory.snapshot().local) - set(kernel.watched) - set(wanted):
            self.inventory.forget_local(inode)

    def _host_namespaces(self) -> tuple[int, ...]:
        return tuple(
            item.netns for item in self.workloads() if item.kind is WorkloadKind.HOST and item.netns is not None
        )

    def _resume_when_complete(self, aggregator: Aggregator | None, started: float) -> None:
        """Once every engine was listed and every table read, open flows of before that did not show are lost."""
        if self._resumed or aggregator is None:
            return
        listed = all(docker.state().listings for docker in self._dockers)
        if listed or time.monotonic() - started > ENGINE_PATIENCE:
            aggregator.first_dump_done()
            self._resumed = True

    # -- ticks ---------------------------------------------------------------------------------------------------

    def _keep_ticking(self) -> None:
        cadence = Cadence(self._config.capture.tick_seconds, time.monotonic())
        while not self._stopping.is_set():
            wait = cadence.wait(time.monotonic())
            if cadence.hurried:
                self._stopping.wait(wait)
            elif self._denials.wait(wait):
                self._denials.clear()
                cadence.hurry(time.monotonic())
                continue
            if self._stopping.is_set():
                return
            try:
                self._tick(extra=cadence.within_round(time.monotonic()))
            except Exception:  # noqa: BLE001 -- ticking outlives any error; it is counted and logged
                self._fail("tick")
            cadence.ticked(time.monotonic())

    def _tick(self, *, hold: bool = True, extra: bool = False) -> None:
        kernel, aggregator = self._kernel, None
        table = FLOW_SCHEMA.empty_table()
        if kernel is not None:
            if not extra:
                self._taken.append(self._clock() - UNREAD)
            intake = kernel.take()
            # What is read before connections are counted is let go, and a gap; of what is read since, nothing is.
            aggregator = self._aggregator
            try:
                table = self._aggregate(aggregator, intake, hold=hold, extra=extra) if aggregator else table
            except Exception:  # noqa: BLE001 -- what was lost is said in this tick; it is counted and logged
                read = sum(map(len, (*intake.conntrack, *intake.denied)))
                self._losses.note_failed(read, "records could not be processed", self._before())
                self._fail("tick")
            try:
                self._losses.read(kernel, aggregator)
            except Exception:  # noqa: BLE001 -- the figures only grow: the next look finds what this one did not
                self._fail("losses")
        self._losses.note_outages(unseen(kernel if aggregator else None, self._limit) if hold else {})
        self._put(table)
        self._last_tick = time.monotonic()
        if kernel is None:
            self.spool.beat()
        elif aggregator is not None and len(self._taken) > TICKS_HELD:
            self.spool.beat(self._taken[0])

    def _aggregate(self, aggregator: Aggregator, intake: Intake, *, hold: bool, extra: bool) -> pa.Table:
        conntrack, denied = intake.merged()
        now, dumped, gone = time.time_ns(), intake.dumped, intake.gone
        return aggregator.take(conntrack, denied, now, dumped=dumped, gone=gone, hold=hold, extra=extra)

    def _put(self, table: pa.Table) -> None:
        gaps = self._losses.take()
        written = 0
        try:
            for start in range(0, max(table.num_rows, 1 if gaps else 0), BATCH_ROWS):
                flows = table.slice(start, BATCH_ROWS)
                self.spool.put(FlowBatch(id="", host=self._host, flows=flows, gaps=tuple(gaps)))
                written, gaps = written + flows.num_rows, []
        except Exception:
            self._losses.put_back(gaps)
            left = table.num_rows - written
            self._losses.note_failed(left, "flows could not be put into the spool", self._before())
            raise
        finally:
            FLOWS_EMITTED.inc(written)
            self._flows_written += written

    def _before(self) -> datetime | None:
        """When the tick before this one took what it got: since then came what this one holds."""
        return self._taken[-2] if len(self._taken) > 1 else None

    def _fail(self, loop: str) -> None:
        self._note_failure(loop)
        self._stopping.wait(0.2)

    def _note_failure(self, loop: str) -> None:
        LOOP_FAILURES.labels(loop=loop).inc()
        note_failure(self._log, "step failed", loop=loop)
