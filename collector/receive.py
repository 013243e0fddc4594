"""Receive: many datagrams per system call (`recvmmsg`), into slots that are allocated once."""

from __future__ import annotations

import ctypes
import errno
import os

import numpy as np
from numpy.typing import NDArray

MSG_DONTWAIT = 0x40
MSG_TRUNC = 0x20

_MMSGHDR = np.dtype(
    {
        # struct mmsghdr of a 64-bit kernel: struct msghdr (56 bytes), msg_len, padding
        "names": ["name", "name_length", "vector", "vectors", "control", "control_length", "flags", "length"],
        "formats": ["u8", "u4", "u8", "u8", "u8", "u8", "i4", "u4"],
        "offsets": [0, 8, 16, 24, 32, 40, 48, 56],
        "itemsize": 64,
    }
)
_VECTOR = np.dtype([("start", "u8"), ("length", "u8")])
_ADDRESS = np.dtype([("family", "u2"), ("pad", "u2"), ("port", "u4"), ("groups", "u4")])
_CONTROL = np.dtype([("length", "u8"), ("level", "i4"), ("type", "i4"), ("nsid", "i4"), ("pad", "V44")])
_CONTROL_MINIMUM = 20  # struct cmsghdr and one int

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
KEPT_BYTES = 32 << 20

_libc = ctypes.CDLL(None, use_errno=True)
_libc.recvmmsg.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int, ctypes.c_void_p]


def keep_freed_memory() -> None:
    """Have the allocator keep what is freed, up to `KEPT_BYTES`, instead of giving it back to the kernel.

    Each batch of events needs arrays of up to some megabytes; giving them back and faulting them in again, page by
    page, is a third of all decoding. Another C library than glibc goes on as it does.
    """
    mallopt = getattr(_libc, "mallopt", None)
    if mallopt is not None:
        for option in (M_TRIM_THRESHOLD, M_MMAP_THRESHOLD):
            mallopt(option, KEPT_BYTES)


class Slots:
    """Places for `count` netlink datagrams of up to `size` bytes (a multiple of 8).

    After `receive` returned n, the first n entries of `lengths`, `flags`, `senders` and `nsids` are those datagrams'
    and their bytes stand in `data` at multiples of `size`; all are overwritten by the next call.
    """

    def __init__(self, count: int, size: int) -> None:
        self.count, self.size = count, size
        self.data = np.zeros(count * size + 8, np.uint8)
        self.offsets = np.arange(count, dtype=np.int64) * size
        self._headers = np.zeros(count, _MMSGHDR)
        self._vectors = np.zeros(count, _VECTOR)
        self._addresses = np.zeros(count, _ADDRESS)
        self._controls = np.zeros(count, _CONTROL)
        self._vectors["start"] = self.data.ctypes.data + self.offsets.astype(np.uint64)
        self._vectors["length"] = size
        rank = np.arange(count, dtype=np.uint64)
        self._headers["name"] = self._addresses.ctypes.data + rank * _ADDRESS.itemsize
        self._headers["vector"] = self._vectors.ctypes.data + rank * _VECTOR.itemsize
        self._headers["vectors"] = 1
        self._headers["control"] = self._controls.ctypes.data + rank * _CONTROL.itemsize
        self._pointer = self._headers.ctypes.data
        self._used = count

    def receive(self, descriptor: int) -> int:
        """Take what waits at the socket, without waiting; returns the number of datagrams.

        A reported overrun (ENOBUFS) is not an error here: who wants the count reads `Drops`.

        Raises:
            OSError: the socket is closed or broken.
        """
        self._headers["control_length"][: self._used] = _CONTROL.itemsize
        self._headers["name_length"][: self._used] = _ADDRESS.itemsize
        for _ in range(3):
            got: int = _libc.recvmmsg(descriptor, self._pointer, self.count, MSG_DONTWAIT, None)
            if got >= 0:
                self._used = got
                return got
            code = ctypes.get_errno()
            if code == errno.EAGAIN:
                break
            if code not in (errno.ENOBUFS, errno.EINTR):
                raise OSError(code, os.strerror(code))
        self._used = 0
        return 0

    def all_good(self, count: int) -> bool:
        """Whether all of the datagrams are whole and from the kernel: one look where there are seldom others."""
        return not (self._headers["flags"][:count].any() or self._addresses["port"][:count].any())

    def lengths(self, count: int) -> NDArray[np.int64]:
        """Bytes received per datagram, shape (count,)."""
        return self._headers["length"][:count].astype(np.int64)

    def truncated(self, count: int) -> NDArray[np.bool_]:
        """Which datagrams did not fit their slot, shape (count,)."""
        result: NDArray[np.bool_] = (self._headers["flags"][:count] & MSG_TRUNC) != 0
        return result

    def senders(self, count: int) -> NDArray[np.uint32]:
        """Netlink port ids of the senders, shape (count,); 0 is the kernel."""
        return self._addresses["port"][:count].copy()

    def nsids(self, count: int) -> NDArray[np.int32]:
        """The namespace of each datagram, shape (count,); -1 where none was given: the socket's own."""
        # Nothing else was asked for that the kernel would tell beside a message.
        present = self._headers["control_length"][:count] >= _CONTROL_MINIMUM
        return np.where(present, self._controls["nsid"][:count], np.int32(-1))
