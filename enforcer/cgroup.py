"""What the sockets of one cgroup receive: nothing while a small BPF program of ours is attached to it.

In the host's namespace no rule can tell whose an incoming datagram is before a connected socket owns it; the cgroup's
own hook is asked for each packet and each socket (`bpf(2)`, BPF_CGROUP_INET_INGRESS, Linux 4.10).
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from ringfence.errors import EnforcementFailed

NAME = b"ringfence_drop"
SYSCALL = {"x86_64": 321, "aarch64": 280}
PROG_LOAD, PROG_ATTACH, PROG_DETACH, GET_FD_BY_ID, GET_INFO, PROG_QUERY = 5, 8, 9, 13, 15, 16
CGROUP_SKB, INET_INGRESS, ALLOW_MULTI = 8, 0, 2
RETURN_DROP = struct.pack("<BBhi", 0xB7, 0, 0, 0) + struct.pack("<BBhi", 0x95, 0, 0, 0)
"""r0 = 0; exit."""
LICENSE = b"GPL\0"
MOST_PROGRAMS = 64
INFO_SIZE, INFO_NAME = 80, 64
"""struct bpf_prog_info as far as its name."""
_libc = ctypes.CDLL(None, use_errno=True)


def receive(folder: str, *, allowed: bool) -> bool:
    """Attach or detach the program; returns whether that was needed. It stays when this process ends.

    Raises:
        EnforcementFailed: the kernel refuses it. Where it cannot even be asked, nothing of ours is there to detach.
    """
    with ExitStack() as stack:
        try:
            cgroup = stack.enter_context(_opened(folder))
            ours = list(_ours(cgroup))
        except EnforcementFailed:
            if allowed:
                return False
            raise
        for program in ours:
            stack.callback(os.close, program)
            if allowed:
                _bpf(PROG_DETACH, struct.pack("<IIII", cgroup, program, INET_INGRESS, 0))
        if allowed or ours:
            return allowed and bool(ours)
        program = _load()
        stack.callback(os.close, program)
        _bpf(PROG_ATTACH, struct.pack("<IIIII", cgroup, program, INET_INGRESS, ALLOW_MULTI, 0))
        return True


def receive_everywhere(mount: str) -> int:
    """Detach the program from every cgroup below; returns from how many."""
    return sum(receive(str(found.parent), allowed=True) for found in Path(mount).rglob("cgroup.procs"))


def _load() -> int:
    code, text = ctypes.create_string_buffer(RETURN_DROP), ctypes.create_string_buffer(LICENSE)
    head = struct.pack("<IIQQ", CGROUP_SKB, len(RETURN_DROP) // 8, ctypes.addressof(code), ctypes.addressof(text))
    log_and_flags = struct.pack("<IIQII", 0, 0, 0, 0, 0)
    return _bpf(PROG_LOAD, head + log_and_flags + NAME.ljust(16, b"\0") + struct.pack("<II", 0, INET_INGRESS))


def _ours(cgroup: int) -> Iterator[int]:
    """Descriptors of our programs that are attached; the caller closes them."""
    ids = (ctypes.c_uint32 * MOST_PROGRAMS)()
    query = ctypes.create_string_buffer(
        struct.pack("<IIIIQII", cgroup, INET_INGRESS, 0, 0, ctypes.addressof(ids), MOST_PROGRAMS, 0), 64
    )
    _bpf(PROG_QUERY, query)
    for number in ids[: struct.unpack_from("<I", query, 24)[0]]:
        program = _bpf(GET_FD_BY_ID, struct.pack("<III", number, 0, 0))
        info = ctypes.create_string_buffer(INFO_SIZE)
        _bpf(GET_INFO, struct.pack("<IIQ", program, INFO_SIZE, ctypes.addressof(info)))
        if info.raw[INFO_NAME : INFO_NAME + 16].rstrip(b"\0") == NAME:
            yield program
        else:
            os.close(program)


@contextmanager
def _opened(folder: str) -> Iterator[int]:
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise EnforcementFailed(f"the cgroup {folder} is gone") from error
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _bpf(command: int, attributes: bytes | ctypes.Array[ctypes.c_char]) -> int:
    number = SYSCALL.get(platform.machine())
    if number is None:
        raise EnforcementFailed(f"bpf(2) is not known on {platform.machine()}")
    buffer = ctypes.create_string_buffer(attributes, len(attributes)) if isinstance(attributes, bytes) else attributes
    result: int = _libc.syscall(number, command, buffer, len(buffer))
    if result < 0:
        code = ctypes.get_errno()
        raise EnforcementFailed(f"the kernel refused a cgroup program: {errno.errorcode.get(code, code)}")
    return result
