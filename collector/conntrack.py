"""Conntrack events: NEW and DESTROY of every connection in every namespace that has an nsid, over one socket.

Sleeping is the throughput: a reader that is woken by each event takes it alone, one that sleeps some milliseconds takes
thousands with one call and decodes them together. The socket's buffer holds what arrives meanwhile.
"""

from __future__ import annotations

import select
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from collector.decode import Decoder
from collector.drops import Drops
from collector.netlink import (
    NETLINK_ADD_MEMBERSHIP,
    NETLINK_LISTEN_ALL_NSID,
    NETLINK_NETFILTER,
    NETLINK_NO_ENOBUFS,
    SOL_NETLINK,
    SocketFactory,
    force_receive_buffer,
    open_socket,
    raw_socket,
)
from collector.receive import Slots, keep_freed_memory
from collector.templates import EMPTY, Records

GROUP_NEW, GROUP_DESTROY = 1, 3
EVENT_BYTES = 1280
"""Receive buffer that one event occupies, measured on kernel 6.18; the buffer read back is twice what was asked for."""
SHORTEST_SLEEP, LONGEST_SLEEP = 0.002, 0.040
MAX_WAIT_SHARE = 0.25
"""Part of the receive buffer that may fill while we sleep before the sleep is cut."""


class Pace:
    """How long to sleep before the next drain, from how much the last one brought. No clock in here."""

    def __init__(self, slots: int, capacity: int) -> None:
        """`slots`: events per drain at most; `capacity`: events the receive buffer holds."""
        self._slots, self._capacity = slots, capacity
        self.delay = SHORTEST_SLEEP
        """Seconds to sleep; 0 when more is waiting already."""
        self.idle = True
        """The last drain brought nothing: wait until something comes."""

    def after(self, count: int) -> None:
        """Take note that a drain brought `count` events."""
        self.idle = count == 0
        if count >= self._slots:
            self.delay = 0.0
        elif count * 2 > self._slots or count > self._capacity * MAX_WAIT_SHARE:
            self.delay = max(self.delay / 2, SHORTEST_SLEEP)
        elif count * 4 < self._slots:
            self.delay = min(max(self.delay, SHORTEST_SLEEP) * 2, LONGEST_SLEEP)


class ConntrackListener:
    """Events of the namespace it is made in and of all that have an nsid there. `read` belongs to one thread."""

    def __init__(
        self,
        receive_buffer: int,
        *,
        slots: int = 16_384,
        slot_bytes: int = 832,
        factory: SocketFactory = raw_socket,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """832 bytes hold twice the longest event seen; an odd number of cache lines spreads slots over the cache.

        `receive_buffer` in bytes is forced past the system's limit where permitted; see the property of that name.

        Raises:
            PermissionError: CAP_NET_ADMIN is missing.
        """
        keep_freed_memory()
        self._sleep = sleep
        self._slots = Slots(slots, slot_bytes)
        self._decoder = Decoder()
        self._link = open_socket(NETLINK_NETFILTER, factory=factory)
        try:
            self.receive_buffer = force_receive_buffer(self._link, receive_buffer)
            """The effective size in bytes, read back."""
            # Without this a single overrun stops delivery until the queue is empty; `lost` tells what was missed.
            self._link.setsockopt(SOL_NETLINK, NETLINK_NO_ENOBUFS, 1)
            self._link.setsockopt(SOL_NETLINK, NETLINK_LISTEN_ALL_NSID, 1)
            self._drops = Drops(self._link, NETLINK_NETFILTER)
            for group in (GROUP_NEW, GROUP_DESTROY):
                self._link.setsockopt(SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, group)
        except BaseException:
            self._link.close()
            raise
        self._poll = select.poll()
        self._poll.register(self._link, select.POLLIN)
        self._pace = Pace(slots, self.capacity)
        self.forged = 0
        """Messages that a process sent, not the kernel: anybody with CAP_NET_ADMIN in a namespace can; left out."""
        self.truncated = 0
        """Messages that did not fit a slot; also in `unreadable`."""

    @property
    def capacity(self) -> int:
        """Events the receive buffer holds."""
        return self.receive_buffer // EVENT_BYTES

    @property
    def unreadable(self) -> int:
        """Messages that could not be read, ever."""
        return self._decoder.unreadable + self.truncated

    def fileno(self) -> int:
        return self._link.fileno()

    def read(self, timeout: float) -> Records:
        """Events in the order of the kernel, at most one batch; empty when none came within `timeout` seconds.

        Call it again at once: it sleeps by itself as long as that saves work (2 to 40 ms), and not when behind.

        Raises:
            OSError: the socket is closed.
        """
        if self._pace.idle and not self._poll.poll(max(0.0, timeout) * 1000):
            return EMPTY
        if self._pace.delay and timeout > 0:
            self._sleep(min(self._pace.delay, timeout))
        count = self._slots.receive(self._link.fileno())
        self._pace.after(count)
        return self._take(count) if count else EMPTY

    def lost(self) -> int:
        """Events the kernel could not deliver since the socket was opened, exactly (Drops of /proc/net/netlink)."""
        return self._drops.read()

    def close(self) -> None:
        self._drops.close()
        self._link.close()

    def _take(self, count: int) -> Records:
        slots, received = self._slots, time.time_ns()
        lengths, nsids = slots.lengths(count), slots.nsids(count)
        offsets: NDArray[np.int64] = slots.offsets[:count]
        if not slots.all_good(count):
            forged, truncated = slots.senders(count) != 0, slots.truncated(count)
            self.forged += int(np.count_nonzero(forged))
            self.truncated += int(np.count_nonzero(truncated & ~forged))
            good = ~(forged | truncated)
            lengths, nsids, offsets = lengths[good], nsids[good], offsets[good]
        records, order = self._decoder.decode(slots.data, offsets, lengths)
        records["nsid"] = nsids[order]
        records["received_ns"] = received
        return records
