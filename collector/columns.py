"""The columns that kernel messages are decoded into: one numpy record per message, no Python object per flow."""

from __future__ import annotations

from enum import IntEnum

import numpy as np


class MessageKind(IntEnum):
    NEW = 1
    DESTROY = 2
    DUMP = 3


NO_TCP_STATE = 255

CONNTRACK = np.dtype(
    [
        ("kind", "u1"),  # MessageKind
        ("nsid", "i4"),  # namespace id of the ancillary data; -1: the listener's own namespace
        ("family", "u1"),  # AF_INET or AF_INET6
        ("protocol", "u1"),
        # Tuples: IPv4 addresses stand in the first four bytes, network order. Ports in host order, 0 where none.
        ("src", "u1", 16),
        ("dst", "u1", 16),
        ("src_port", "u2"),
        ("dst_port", "u2"),
        ("reply_src", "u1", 16),
        ("reply_dst", "u1", 16),
        ("reply_src_port", "u2"),
        ("reply_dst_port", "u2"),
        ("icmp_type", "u1"),
        ("icmp_code", "u1"),
        ("icmp_id", "u2"),
        ("id", "u4"),  # CTA_ID: unique among the live connections of the kernel
        ("status", "u4"),  # IPS_* bits
        ("mark", "u4"),
        ("zone", "u2"),
        ("tcp_state", "u1"),  # TCP_CONNTRACK_*, NO_TCP_STATE where absent
        ("timeout", "u4"),  # seconds left
        ("counted", "?"),  # the message carried counters
        ("packets", "u8"),
        ("bytes", "u8"),
        ("reply_packets", "u8"),
        ("reply_bytes", "u8"),
        ("start_ns", "u8"),  # wall clock, 0: no stamp
        ("stop_ns", "u8"),
        ("received_ns", "u8"),  # wall clock when it was read
    ]
)
"""One conntrack message."""

DENIED = np.dtype(
    [
        ("netns", "u8"),  # inode of the namespace whose rule denied
        ("ingress", "?"),  # judged at the destination, else at the source
        ("rule", "u4"),
        ("family", "u1"),
        ("protocol", "u1"),
        ("src", "u1", 16),
        ("dst", "u1", 16),
        ("src_port", "u2"),
        ("dst_port", "u2"),
        ("icmp_type", "u1"),
        ("icmp_code", "u1"),
        ("icmp_id", "u2"),  # as conntrack has it; 0 where the type has none
        ("bytes", "u4"),  # IP length of the packet
        ("tcp_flags", "u1"),
        ("received_ns", "u8"),
        ("mark", "u4"),  # packet mark
        ("slot", "u1"),  # of the host-network workload whose rule denied; 0: the namespace is the workload's own
    ]
)
"""One denied packet from NFLOG."""
