"""The kernel's own count of what a netlink socket could not take: the Drops column of `/proc/net/netlink`."""

from __future__ import annotations

import os
import socket

from collector.netlink import port_of

TABLE = "/proc/thread-self/net/netlink"
_PROTOCOL, _PORT, _DROPS, _INODE = 1, 2, 8, 9


def parse_drops(table: str, *, protocol: int, port: int, inode: int) -> int | None:
    """The Drops of one socket in the text of `/proc/net/netlink`; None if the socket is not listed."""
    for line in table.splitlines()[1:]:
        columns = line.split()
        if len(columns) <= _INODE or columns[_INODE] != str(inode):
            continue
        if columns[_PROTOCOL] == str(protocol) and columns[_PORT] == str(port):
            return int(columns[_DROPS])
    return None


class Drops:
    """Counts the messages a socket lost. Made in the socket's own network namespace: the table shows no other.

    The table file stays open, so it is readable from any thread and after the namespace's last process has ended.
    """

    def __init__(self, link: socket.socket, protocol: int) -> None:
        self._protocol, self._port, self._inode = protocol, port_of(link), os.fstat(link.fileno()).st_ino
        self._table = os.open(TABLE, os.O_RDONLY | os.O_CLOEXEC)
        self._last = 0

    def read(self) -> int:
        """Messages lost since the socket was opened, exactly (one per message). After `close`: the last figure."""
        if self._table < 0:
            return self._last
        parts: list[bytes] = []
        offset = 0
        while part := os.pread(self._table, 65536, offset):
            parts.append(part)
            offset += len(part)
        text = b"".join(parts).decode("ascii", "replace")
        found = parse_drops(text, protocol=self._protocol, port=self._port, inode=self._inode)
        self._last = max(self._last, found or 0)
        return self._last

    def close(self) -> None:
        """Read a last time and let go. Call it while the socket is open."""
        if self._table >= 0:
            self.read()
            os.close(self._table)
            self._table = -1
