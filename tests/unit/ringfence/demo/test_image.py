"""The image is one static program and links to it."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

from ringfence.demo.image import is_static, rootfs


def elf(*segment_types: int) -> bytes:
    """A 64-bit ELF header with program headers of these types, and nothing else."""
    header = bytearray(64)
    header[:5] = b"\x7fELF\x02"
    header[56:58] = len(segment_types).to_bytes(2, "little")
    return bytes(header) + b"".join(kind.to_bytes(4, "little").ljust(56, b"\0") for kind in segment_types)


def test_a_program_with_an_interpreter_is_not_static(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_bytes(elf(1, 3))
    assert not is_static(program)
    program.write_bytes(elf(1, 1))
    assert is_static(program)
    program.write_bytes(b"#!/bin/sh\n")
    assert not is_static(program)


def test_the_archive_links_every_applet_to_the_program(tmp_path: Path) -> None:
    program = tmp_path / "busybox"
    program.write_text("#!/bin/sh\necho busybox\necho sh\necho nc\n")
    program.chmod(0o755)
    with tarfile.open(fileobj=io.BytesIO(rootfs(program))) as archive:
        members = {item.name: item for item in archive.getmembers()}
    assert members["bin/busybox"].mode == 0o755
    assert {name: members[name].linkname for name in ("bin/sh", "bin/nc")} == {"bin/sh": "busybox", "bin/nc": "busybox"}
    assert members["tmp"].mode == 0o1777
    assert "etc/passwd" in members
