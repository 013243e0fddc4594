"""Keeps secrets and floods out of the audit log: it is read by people who may not know the passwords."""

from __future__ import annotations

import hashlib
import re
from typing import Any

REDACTED = "[redacted]"
LONGEST_TEXT = 64 * 1024
MOST_ITEMS = 1000

_SECRET_KEY = re.compile(
    r"passw(or)?d|passphrase|secret|token|api[-_ ]?key|private[-_ ]?key|access[-_ ]?key|authori[sz]ation$|cookie"
    r"|credential|session[-_ ]?id|one[-_ ]?time",
    re.IGNORECASE,
)
_URL_PASSWORD = re.compile(r"([a-z][a-z0-9+.-]*://[^\s/@:]*:)[^\s/]*(@)", re.IGNORECASE)
_BEARER = re.compile(r"\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}", re.IGNORECASE)


def redacted(value: Any) -> Any:
    """A copy of JSON values without what a key calls a secret, without passwords in URLs, and of bounded size."""
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, dict):
        kept = {
            _text(key): REDACTED if item is not None and _SECRET_KEY.search(key) else redacted(item)
            for key, item in list(value.items())[:MOST_ITEMS]
        }
        return kept | ({"[left out]": len(value) - MOST_ITEMS} if len(value) > MOST_ITEMS else {})
    if isinstance(value, list):
        kept_items = [redacted(item) for item in value[:MOST_ITEMS]]
        return kept_items + ([f"[{len(value) - MOST_ITEMS} more left out]"] if len(value) > MOST_ITEMS else [])
    return value


def _text(text: str) -> str:
    if len(text) > LONGEST_TEXT:
        digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
        text = f"{text[:LONGEST_TEXT]} [cut: {len(text)} characters in all, SHA-256 {digest}]"
    if "://" in text:
        text = _URL_PASSWORD.sub(rf"\1{REDACTED}\2", text)
    return _BEARER.sub(rf"\1 {REDACTED}", text)
