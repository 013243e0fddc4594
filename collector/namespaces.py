"""Network namespaces: pins them, gives each a number of its own (nsid) and runs code inside them.

While a namespace is watched its file is held open, so the kernel can give neither its inode nor its nsid to another.
A forgotten namespace stays pinned for `grace_seconds`: events that were queued before its end still name it.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from collector.netlink import (
    NETLINK_ROUTE,
    NLM_F_ACK,
    NLM_F_REQUEST,
    attribute,
    attributes,
    message,
    open_socket,
    transact,
)
from ringfence.errors import NotFound, NotPermitted

CLONE_NEWNET = 0x40000000
RTM_NEWNSID, RTM_GETNSID = 88, 90
NETNSA_NSID, NETNSA_FD = 1, 3
OWN_NSID = -1
"""The nsid of messages from the listener's own namespace: they carry none."""
FIRST_NSID = 1 << 20
"""Our numbers start far above those the kernel hands out, and only grow: none is used twice."""

OWN_PATH = "/proc/thread-self/ns/net"
_libc = ctypes.CDLL(None, use_errno=True)

Result = TypeVar("Result")


def run_in(path: str, work: Callable[[], Result]) -> Result:
    """Run `work` in the network namespace at `path`, on a thread of its own that ends with it.

    What `work` opens (sockets, files under /proc/net) stays in that namespace afterwards.

    Raises:
        NotFound: the namespace is gone.
        NotPermitted: CAP_SYS_ADMIN is missing.
    """
    results: list[Result] = []
    failures: list[BaseException] = []

    def inside() -> None:
        try:
            _enter(path)
            results.append(work())
        except BaseException as error:  # noqa: BLE001 - it is raised again in the caller's thread
            failures.append(error)

    thread = threading.Thread(target=inside, name="netns", daemon=True)
    thread.start()
    thread.join()
    if failures:
        raise failures[0]
    return results[0]


def open_namespace(path: str) -> int:
    """A file descriptor that pins the namespace at `path`.

    Raises:
        NotFound: the namespace is gone.
        NotPermitted: it may not be opened.
    """
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except PermissionError as error:
        raise NotPermitted(f"the network namespace at {path} may not be opened") from error
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ESRCH, errno.ENOTDIR):
            raise NotFound(f"the network namespace at {path} is gone") from error
        raise


def _enter(path: str) -> None:
    descriptor = open_namespace(path)
    try:
        if _libc.setns(descriptor, CLONE_NEWNET) != 0:
            code = ctypes.get_errno()
            if code == errno.EPERM:
                raise NotPermitted(f"the network namespace at {path} may not be entered", hint="run as root")
            if code == errno.EINVAL:
                raise NotFound(f"{path} is not a network namespace")
            raise OSError(code, os.strerror(code), path)
    finally:
        os.close(descriptor)


@dataclass(slots=True)
class _Watched:
    descriptor: int
    nsid: int
    until: float | None = None  # monotonic time when a forgotten namespace is let go


class Namespaces:
    """The namespaces watched from the one this object was made in. Methods may be called from any thread."""

    def __init__(self, *, grace_seconds: float = 2.0, clock: Callable[[], float] = time.monotonic) -> None:
        """`grace_seconds`: how long a forgotten namespace stays known for events still in the queue."""
        self._grace, self._clock = grace_seconds, clock
        self._lock = threading.RLock()
        self._watched: dict[int, _Watched] = {}
        self._by_nsid: dict[int, int] = {}
        self._next, self._sequence = FIRST_NSID, 0
        self._own = open_namespace(OWN_PATH)
        try:
            self.own_inode = os.fstat(self._own).st_ino
            self._link = open_socket(NETLINK_ROUTE)
        except BaseException:
            os.close(self._own)
            raise
        self._link.settimeout(5.0)
        self._own_nsid = self._get(self._own)

    def watch(self, path: str) -> int:
        """Pin the namespace at `path` (`/proc/PID/ns/net`), see that it has an nsid, return its inode. Idempotent.

        Raises:
            NotFound: the namespace is gone or `path` is not one.
            NotPermitted: CAP_NET_ADMIN is missing.
        """
        with self._lock:
            self.expire()
            self._own_nsid = self._get(self._own)  # somebody may have numbered our own meanwhile
            descriptor = open_namespace(path)
            try:
                inode = os.fstat(descriptor).st_ino
                known = self._watched.get(inode)
                if known is not None or inode == self.own_inode:
                    if known is not None:
                        known.until = None
                    os.close(descriptor)
                    return inode
                nsid = self._assign(descriptor, path)
            except BaseException:
                os.close(descriptor)
                raise
            self._watched[inode] = _Watched(descriptor, nsid)
            self._by_nsid[nsid] = inode
            return inode

    def forget(self, inode: int) -> None:
        """Let the namespace go after the grace period; unknown inodes are ignored."""
        with self._lock:
            known = self._watched.get(inode)
            if known is not None and known.until is None:
                known.until = self._clock() + self._grace
            self.expire()

    def expire(self) -> None:
        """Let go what was forgotten longer than the grace period ago; also done by `watch` and `forget`."""
        with self._lock:
            now = self._clock()
            for inode, known in list(self._watched.items()):
                if known.until is not None and known.until <= now:
                    del self._watched[inode]
                    self._by_nsid.pop(known.nsid, None)
                    os.close(known.descriptor)

    def nsid_of(self, inode: int) -> int | None:
        """The nsid that events from this namespace carry, None for one not watched. Our own: -1 unless it has one."""
        with self._lock:
            if inode == self.own_inode:
                return self._own_nsid
            known = self._watched.get(inode)
            return None if known is None else known.nsid

    def inode_of(self, nsid: int) -> int | None:
        """The inode of the namespace with this nsid, -1 being our own; None for one not watched."""
        with self._lock:
            if nsid in (OWN_NSID, self._own_nsid):
                return self.own_inode
            return self._by_nsid.get(nsid)

    def inodes_of(self, nsids: NDArray[np.int32]) -> NDArray[np.uint64]:
        """`inode_of` for a column (shape n, the result as well); 0 for a namespace not watched."""
        unique, back = np.unique(nsids, return_inverse=True)
        found = np.array([self.inode_of(int(nsid)) or 0 for nsid in unique], np.uint64)
        return found[back]

    def path_of(self, inode: int) -> str | None:
        """A path to a watched namespace that stays valid after its last process has ended; None if not watched."""
        with self._lock:
            if inode == self.own_inode:
                return f"/proc/self/fd/{self._own}"
            known = self._watched.get(inode)
            return None if known is None else f"/proc/self/fd/{known.descriptor}"

    @property
    def watched(self) -> tuple[int, ...]:
        """Inodes watched and not forgotten."""
        with self._lock:
            return tuple(inode for inode, known in self._watched.items() if known.until is None)

    def close(self) -> None:
        """Let everything go."""
        with self._lock:
            for known in self._watched.values():
                os.close(known.descriptor)
            self._watched.clear()
            self._by_nsid.clear()
            if self._own >= 0:
                os.close(self._own)
                self._own = -1
            self._link.close()

    def _assign(self, descriptor: int, path: str) -> int:
        nsid = self._get(descriptor)
        while nsid < 0:
            candidate, self._next = self._next, self._next + 1
            try:
                self._ask(RTM_NEWNSID, descriptor, candidate)
                return candidate
            except FileExistsError:
                # The number is taken, or somebody gave the namespace one meanwhile (moving a veth does).
                nsid = self._get(descriptor)
            except PermissionError as error:
                raise NotPermitted(f"no nsid can be given to {path}", hint="run as root") from error
            except OSError as error:
                if error.errno == errno.EINVAL:
                    raise NotFound(f"{path} is not a network namespace") from error
                raise
        return nsid

    def _get(self, descriptor: int) -> int:
        try:
            answers = self._ask(RTM_GETNSID, descriptor)
        except OSError as error:
            if error.errno == errno.EINVAL:
                raise NotFound("not a network namespace") from error
            raise
        for _, body in answers:
            for kind, payload in attributes(body[4:]):
                if kind == NETNSA_NSID and len(payload) == 4:
                    nsid: int = struct.unpack("=i", payload)[0]
                    return nsid
        return OWN_NSID

    def _ask(self, kind: int, descriptor: int, nsid: int | None = None) -> list[tuple[int, bytes]]:
        self._sequence += 1
        body = bytes(4) + attribute(NETNSA_FD, struct.pack("=I", descriptor))
        if nsid is not None:
            body += attribute(NETNSA_NSID, struct.pack("=i", nsid))
        request = message(kind, NLM_F_REQUEST | NLM_F_ACK, self._sequence, body)
        return transact(self._link, request, self._sequence)
