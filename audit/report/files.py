"""Puts a report on disk in every format, and checks one that comes back."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

from audit.canonical import canonical
from audit.report.document import Document, content
from audit.report.html import render_html
from audit.report.tables import render_csv
from ringfence.errors import RingfenceError

FORMAT = "ringfence report 1"


class ReportUnwritable(RingfenceError):
    """The files of a report could not be written."""


def render_json(document: Document) -> str:
    """`content` is what `digest` covers: the SHA-256 of its canonical JSON (sorted keys, no blanks, ASCII)."""
    fields = {
        "format": FORMAT,
        "created": document.created.isoformat(),
        "digest": {"algorithm": "SHA-256", "value": document.digest},
        "content": content(document),
    }
    return json.dumps(fields, indent=1, ensure_ascii=True, allow_nan=False) + "\n"


def write(document: Document, folder: Path) -> dict[str, str]:
    """Write all formats into `folder`, private to its owner; returns the path by format: `html`, `csv`, `json`.

    Each file appears whole or not at all.

    Raises:
        ReportUnwritable: the folder cannot be written.
    """
    stem = f"ringfence-{document.kind}-{document.start:%Y%m%dT%H%M%SZ}-{document.digest[:8]}"
    rendered = {
        "html": render_html(document).encode(),
        "csv": render_csv(document).encode(),
        "json": render_json(document).encode(),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
        return {name: str(_put(folder / f"{stem}.{name}", data)) for name, data in rendered.items()}
    except OSError as error:
        raise ReportUnwritable(f"the report cannot be written to {folder}: {error.strerror}") from error


def digest_holds(text: str) -> bool:
    """Whether a JSON report is what was made: its content has the digest that it states."""
    try:
        fields = json.loads(text)
        return bool(
            fields["format"] == FORMAT
            and hashlib.sha256(canonical(fields["content"])).hexdigest() == fields["digest"]["value"]
        )
    except (ValueError, KeyError, TypeError, RecursionError):
        return False


def _put(path: Path, data: bytes) -> Path:
    fresh = path.with_name(f".{path.name}.new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        return fresh.replace(path)
    except OSError:
        fresh.unlink(missing_ok=True)
        raise
