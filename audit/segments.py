"""The files of the log: `audit-<number of the first record>.jsonl`, in order."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_NAME = re.compile(r"audit-(\d{12})\.jsonl")
_BLOCK = 64 * 1024


@dataclass(frozen=True, slots=True, order=True)
class Segment:
    """One file; `first` is the sequence number that its first record must have."""

    first: int
    path: Path


def segment_path(folder: Path, first: int) -> Path:
    return folder / f"audit-{first:012d}.jsonl"


def list_segments(folder: Path) -> tuple[Segment, ...]:
    """All of them in order; an absent folder has none."""
    if not folder.is_dir():
        return ()
    names = ((path, _NAME.fullmatch(path.name)) for path in folder.iterdir())
    return tuple(sorted(Segment(int(found[1]), path) for path, found in names if found))


def lines_backward(path: Path) -> Iterator[bytes]:
    """Complete lines from the last to the first, without newlines; what follows the last newline is left out."""
    with path.open("rb") as file:
        position = file.seek(0, os.SEEK_END)
        rest = b""
        ended = False
        while position > 0:
            size = min(_BLOCK, position)
            position -= size
            file.seek(position)
            rest, *lines = (file.read(size) + rest).split(b"\n")
            if lines:
                yield from reversed(lines if ended else lines[:-1])
                ended = True
        if ended:
            yield rest


def sync_folder(folder: Path) -> None:
    """Make new, renamed and removed names in the folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
