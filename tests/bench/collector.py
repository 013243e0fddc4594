"""Collector against `conntrack -E`: CPU per event and loss under the same load, in turns, on this machine.

    python -m tests.bench.collector

A generator opens and gives up TCP connections in a namespace without a way out, as fast as one process can; the kernel
reports NEW and DESTROY of each. The listener of a round is either ours (in another namespace, all-nsid, decoding every
event into `CONNTRACK` columns) or `conntrack -E -e NEW,DESTROY` inside the namespace, writing its lines into a file in
memory; both have the same receive buffer. Rounds alternate; medians count, losses over all rounds. The last line is one
JSON object.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import resource
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from collector import sysctl
from collector.columns import MessageKind
from collector.conntrack import ConntrackListener
from collector.namespaces import Namespaces
from tests.support.namespaces import Fabric, Namespace
from tests.support.require import command

RECEIVE_BUFFER = 32 << 20
MODULE = "tests.bench.collector"
SOURCE, TARGET, FIRST_TARGET, PORT = "10.0.0.1", "10.0.0.2", 0x0A010000, 443
WARM_UP = 2000

_libc = ctypes.CDLL(None, use_errno=True)


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


# ---- the load ----------------------------------------------------------------------------------------------------


class Packets:
    """TCP connections that begin (SYN) and are given up (RST) by the client; each tuple is used once.

    The kernel deletes an unanswered connection at its RST, so each makes one NEW and one DESTROY at once and the table
    stays small, however long the load lasts. Sent from one raw socket with `sendmmsg`.
    """

    BATCH = 256  # connections; twice as many packets
    SIZE = 40

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        count = 2 * self.BATCH
        packets = np.zeros((count, self.SIZE), np.uint8)
        packets[:, 0], packets[:, 3], packets[:, 8], packets[:, 9] = 0x45, self.SIZE, 64, socket.IPPROTO_TCP
        packets[:, 12:16] = list(socket.inet_aton(SOURCE))
        packets[:, 22:24], packets[:, 32], packets[:, 34:36] = divmod(PORT, 256), 0x50, (0xFF, 0xFF)
        packets[: self.BATCH, 33], packets[self.BATCH :, 33] = 0x02, 0x04  # SYN, RST
        packets[: self.BATCH, 27], packets[self.BATCH :, 27] = 1, 2  # sequence numbers
        address = np.zeros((count, 4), np.uint32)
        address[:, 0], address[:, 1] = socket.AF_INET, int.from_bytes(socket.inet_aton(TARGET), sys.byteorder)
        vector = np.zeros((count, 2), np.uint64)
        rank = np.arange(count, dtype=np.uint64)
        vector[:, 0], vector[:, 1] = packets.ctypes.data + rank * self.SIZE, self.SIZE
        header = np.zeros((count, 8), np.uint64)  # struct mmsghdr: name, its length, vector, count, ...
        header[:, 0], header[:, 1] = address.ctypes.data + rank * 16, 16
        header[:, 2], header[:, 3] = vector.ctypes.data + rank * 16, 1
        self._packets, self._keep = packets, (address, vector, header)
        self._next = 0

    def send(self) -> int:
        """One batch; returns how many connections it was.

        Raises:
            OSError: not every packet was taken.
        """
        number = np.tile(np.arange(self._next, self._next + self.BATCH, dtype=np.uint32), 2)
        self._packets[:, 16:20] = (FIRST_TARGET + (number >> 15)).astype(">u4").view(np.uint8).reshape(-1, 4)
        self._packets[:, 20:22] = (1024 + (number & 0x7FFF)).astype(">u2").view(np.uint8).reshape(-1, 2)
        pointer = self._keep[2].ctypes.data_as(ctypes.c_void_p)
        sent: int = _libc.sendmmsg(self._socket.fileno(), pointer, len(number), 0)
        if sent != len(number):
            raise OSError(ctypes.get_errno(), f"{sent} of {len(number)} packets were taken")
        self._next += self.BATCH
        return self.BATCH


def generate(count: int) -> None:
    """The generator's process: waits for a line, sends, tells how many in what time."""
    packets = Packets()
    say("ready")
    sys.stdin.readline()
    started, sent = time.perf_counter(), 0
    while sent < count:
        sent += packets.send()
    say(json.dumps({"sent": sent, "seconds": time.perf_counter() - started}))


# ---- the readers -------------------------------------------------------------------------------------------------


def read_events(path: str, receive_buffer: int) -> None:
    """Our reader's process: reads and decodes until its input ends, then tells its figures."""
    namespaces = Namespaces()
    namespaces.watch(path)
    listener = ConntrackListener(receive_buffer)
    ended = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
    before = resource.getrusage(resource.RUSAGE_SELF)
    say("ready")
    kinds = np.zeros(4, np.int64)
    batches = others = 0
    while not ended.is_set():
        records = listener.read(0.1)
        if len(records):
            batches += 1
            # The system makes a connection of its own now and then, such as the bridge's IGMP.
            loads = (records["dst_port"] == PORT) & (records["protocol"] == socket.IPPROTO_TCP)
            kinds += np.bincount(records["kind"][loads], minlength=4)
            others += len(records) - int(np.count_nonzero(loads))
    after = resource.getrusage(resource.RUSAGE_SELF)
    figures = {
        "events": int(kinds.sum()),
        "new": int(kinds[MessageKind.NEW]),
        "destroy": int(kinds[MessageKind.DESTROY]),
        "lost": listener.lost(),
        "others": others,
        "unreadable": listener.unreadable,
        "cpu": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        "system": after.ru_stime - before.ru_stime,
        "batches": batches,
    }
    say(json.dumps(figures))


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One listener under one load. `cpu` in seconds, user and system."""

    events: int
    lost: int
    cpu: float
    offered_per_s: float
    note: str = ""

    @property
    def cpu_per_event(self) -> float:
        return self.cpu / max(1, self.events)


def loss(rounds: list[Round]) -> float:
    """The share of everything offered that was lost."""
    lost = sum(item.lost for item in rounds)
    return lost / max(1, lost + sum(item.events for item in rounds))


def queue_of(process: int) -> tuple[int, int]:
    """Bytes that wait at a process's conntrack event socket, and what it dropped, from its own namespace's table."""
    own = {str(item.readlink()) for item in Path(f"/proc/{process}/fd").iterdir() if item.is_symlink()}
    for line in Path(f"/proc/{process}/net/netlink").read_text(encoding="ascii").splitlines()[1:]:
        columns = line.split()
        if columns[1] == "12" and int(columns[3], 16) & 5 == 5 and f"socket:[{columns[9]}]" in own:
            return int(columns[4]), int(columns[8])
    return -1, 0


def wait_for(check: Callable[[], bool], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not check():
        if time.monotonic() > end:
            raise TimeoutError("a process of the benchmark did not answer in time")
        time.sleep(0.02)


def drained(process: int) -> None:
    """Wait until nothing has waited at its socket for a while."""
    calm = 0
    end = time.monotonic() + 20
    while calm < 10 and time.monotonic() < end:
        calm = calm + 1 if queue_of(process)[0] == 0 else 0
        time.sleep(0.03)


def run_load(load: Namespace, count: int) -> dict[str, Any]:
    process = subprocess.Popen(
        load.command(sys.executable, "-m", MODULE, "--role", "generator", "--connections", str(count)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin and process.stdout
    try:
        if process.stdout.readline().strip() != "ready":
            raise RuntimeError("the generator did not start")
        process.stdin.write("go\n")
        process.stdin.flush()
        figures: dict[str, Any] = json.loads(process.stdout.readline())
        process.wait(10)
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()
    return figures


def our_round(host: Namespace, load: Namespace, count: int) -> Round:
    arguments = ["--role", "reader", "--path", str(load.path), "--receive-buffer", str(RECEIVE_BUFFER)]
    process = subprocess.Popen(
        host.command(sys.executable, "-m", MODULE, *arguments),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin and process.stdout
    try:
        if process.stdout.readline().strip() != "ready":
            raise RuntimeError("the reader did not start")
        generated = run_load(load, count)
        drained(process.pid)
        process.stdin.close()
        figures = json.loads(process.stdout.readline())
        process.wait(10)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    share, batch = figures["system"] / figures["cpu"], figures["events"] / max(1, figures["batches"])
    return Round(
        events=figures["events"],
        lost=figures["lost"],
        cpu=figures["cpu"],
        offered_per_s=(figures["events"] + figures["lost"]) / generated["seconds"],
        note=f"{figures['new']} new, {figures['destroy']} destroy of {generated['sent']}; "
        f"{figures['unreadable']} unreadable; {figures['others']} of others; "
        f"{batch:.0f} a read; {share:.0%} in the kernel",
    )


def conntrack_round(load: Namespace, count: int, receive_buffer: int) -> Round:
    sized = ["-b", str(receive_buffer)] if receive_buffer else []
    with tempfile.NamedTemporaryFile(dir="/dev/shm") as output:
        process = load.popen("conntrack", "-E", "-e", "NEW,DESTROY", *sized, stdout=output, stderr=subprocess.DEVNULL)
        try:
            wait_for(lambda: queue_of(process.pid)[0] >= 0, 10)
            generated = run_load(load, count)
            drained(process.pid)
            _, lost = queue_of(process.pid)
            process.send_signal(signal.SIGINT)
            _, _, usage = os.wait4(process.pid, 0)
            process.returncode = 0
        finally:
            if process.returncode is None:
                process.kill()
                process.wait()
        with Path(output.name).open("rb") as lines:
            events = sum(part.count(b"\n") for part in iter(lambda: lines.read(1 << 20), b""))
    return Round(
        events=events,
        lost=lost,
        cpu=usage.ru_utime + usage.ru_stime,
        offered_per_s=(events + lost) / generated["seconds"],
        note=f"of {generated['sent']} connections",
    )


# ---- the comparison ----------------------------------------------------------------------------------------------


def prepare(load: Namespace) -> None:
    """Connection tracking with counters and stamps, and an interface where packets end: a bridge without ports."""
    load.run("iptables", "-A", "OUTPUT", "-m", "conntrack", "--ctstate", "NEW", "-j", "ACCEPT")
    if not sysctl.prepare(str(load.path)).ready:
        raise RuntimeError("the conntrack sysctls could not be set")
    load.run("ip", "link", "add", "sink", "type", "bridge")
    load.run("ip", "link", "set", "sink", "up")
    load.run("ip", "addr", "add", f"{SOURCE}/8", "dev", "sink")


def quiet(load: Namespace) -> None:
    """Each round starts alike: an empty table."""
    load.run("conntrack", "-F", check=False)
    time.sleep(0.3)


def describe(name: str, item: Round) -> str:
    return (
        f"{name:28} {item.events:>8} events  {item.lost:>7} lost ({loss([item]):7.3%})  "
        f"{item.cpu_per_event * 1e6:6.2f} us CPU/event  {item.offered_per_s:>9,.0f} events/s  {item.note}"
    )


def compare(rounds: int, count: int) -> dict[str, float]:
    ours: list[Round] = []
    theirs: list[Round] = []
    with Fabric() as fabric:
        host, load = fabric.namespace("host"), fabric.namespace("load")
        prepare(load)
        run_load(load, WARM_UP)
        for _ in range(rounds):
            quiet(load)
            ours.append(our_round(host, load, count))
            say(describe("ringfence", ours[-1]))
            quiet(load)
            theirs.append(conntrack_round(load, count, RECEIVE_BUFFER))
            say(describe("conntrack -E, same buffer", theirs[-1]))
        quiet(load)
        say(describe("conntrack -E, its own buffer", conntrack_round(load, count, 0)))
        quiet(load)
    return figures_of(ours, theirs)


def figures_of(ours: list[Round], theirs: list[Round]) -> dict[str, float]:
    """Medians of what depends on the moment; losses over all rounds: one that lost is not made good by two others."""
    own, other = (statistics.median(item.cpu_per_event for item in group) for group in (ours, theirs))
    return {
        "cpu_over_conntrack": round(own / other, 3),
        "loss": round(loss(ours), 6),
        "conntrack_loss": round(loss(theirs), 6),
        "offered_per_s": round(statistics.median(item.offered_per_s for item in ours)),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description="CPU per event and loss against conntrack -E.")
    parser.add_argument("--role", choices=["compare", "generator", "reader"], default="compare")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--connections", type=int, default=300_000, help="per round")
    parser.add_argument("--path", default="")
    parser.add_argument("--receive-buffer", type=int, default=RECEIVE_BUFFER)
    options = parser.parse_args()
    if options.role == "generator":
        generate(options.connections)
        return 0
    if options.role == "reader":
        read_events(options.path, options.receive_buffer)
        return 0
    missing = [name for name in ("ip", "nsenter", "iptables", "conntrack") if command(name) is None]
    if os.geteuid() != 0 or missing:
        sys.stderr.write(f"needs root and these commands: {', '.join(missing) or 'all are there'}\n")
        return 2
    say(json.dumps(compare(options.rounds, options.connections)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
