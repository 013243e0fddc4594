"""A container image without a registry: one static busybox and links to it."""

from __future__ import annotations

import io
import shutil
import subprocess
import tarfile
from pathlib import Path

import docker

from ringfence.errors import RingfenceError

PASSWD = b"root:x:0:0:root:/:/bin/sh\nshop:x:1000:1000:shop:/:/bin/sh\n"
GROUP = b"root:x:0:\nshop:x:1000:\n"
FOLDERS = ("bin", "dev", "etc", "proc", "sys", "tmp", "www")
PROGRAM_HEADERS_OFFSET, PROGRAM_HEADER_SIZE, INTERPRETER = 64, 56, 3


class BusyboxMissing(RingfenceError):
    """There is no busybox that runs without shared libraries."""


def busybox() -> Path:
    """The machine's static busybox.

    Raises:
        BusyboxMissing: none is installed, or it needs shared libraries.
    """
    hint = "install it: apt-get install busybox-static"
    for name in ("busybox", "busybox.static"):
        found = shutil.which(name)
        if found and is_static(Path(found)):
            return Path(found)
    raise BusyboxMissing("a static busybox is needed", hint=hint)


def is_static(program: Path) -> bool:
    """A 64-bit ELF file without an interpreter segment (ELF-64 object file format, program header PT_INTERP)."""
    head = program.read_bytes()[:4096]
    if head[:5] != b"\x7fELF\x02":
        return False
    count = int.from_bytes(head[56:58], "little")
    starts = (PROGRAM_HEADERS_OFFSET + PROGRAM_HEADER_SIZE * index for index in range(count))
    return all(int.from_bytes(head[start : start + 4], "little") != INTERPRETER for start in starts)


def rootfs(program: Path) -> bytes:
    """A tar archive: the program as /bin/busybox, its applets as links, and the few files a container expects."""
    applets = subprocess.run([program, "--list"], capture_output=True, text=True, check=True).stdout.split()
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name in FOLDERS:
            _add(archive, name, kind=tarfile.DIRTYPE, mode=0o1777 if name == "tmp" else 0o755)
        _add(archive, "bin/busybox", content=program.read_bytes(), mode=0o755)
        for name in applets:
            if name != "busybox":
                _add(archive, f"bin/{name}", kind=tarfile.SYMTYPE, target="busybox")
        _add(archive, "etc/passwd", content=PASSWD)
        _add(archive, "etc/group", content=GROUP)
        _add(archive, "www/index.html", content=b"<h1>shop</h1>\n")
    return out.getvalue()


def _add(
    archive: tarfile.TarFile,
    name: str,
    *,
    kind: bytes = tarfile.REGTYPE,
    content: bytes = b"",
    mode: int = 0o644,
    target: str = "",
) -> None:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode, entry.size, entry.linkname = kind, mode, len(content), target
    archive.addfile(entry, io.BytesIO(content))


def load(client: docker.DockerClient, *, repository: str, tag: str = "latest") -> str:
    """Import the image unless the engine has it; returns its name."""
    name = f"{repository}:{tag}"
    if not client.images.list(name=name):
        client.api.import_image_from_data(rootfs(busybox()), repository=repository, tag=tag)
    return name
