"""The address of our static files: it changes with their contents, so that a browser never mixes those of two versions.

Modules of scripts fit together only as they were installed together, while a browser keeps each file by its address.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

KEPT_SECONDS = 30 * 24 * 3600
"""Browsers keep a file for so long without asking again."""


def address_of_assets(folder: Path) -> str:
    """`/static/` and twelve digits of a SHA-256 over the names and contents of all files in a folder."""
    found = hashlib.sha256()
    for path in sorted(item for item in folder.rglob("*") if item.is_file()):
        content = path.read_bytes()
        found.update(f"{path.relative_to(folder).as_posix()}\0{len(content)}\0".encode() + content)
    return f"/static/{found.hexdigest()[:12]}"
