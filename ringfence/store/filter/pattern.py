"""Text patterns: `*` stands for any characters, a backslash makes the next character literal."""

from __future__ import annotations

import itertools
import re
from functools import lru_cache

_PART = re.compile(r"\\(.)|(\*+)|([^\\*]+)|(\\)$", re.DOTALL)


def _parts(pattern: str) -> list[tuple[bool, str]]:
    """Pairs of (is a wildcard, literal text)."""
    return [
        (bool(star), "" if star else escaped or plain or tail) for escaped, star, plain, tail in _PART.findall(pattern)
    ]


def quote(text: str) -> str:
    """The pattern that matches exactly this text."""
    return re.sub(r"([\\*])", r"\\\1", text)


def has_wildcard(pattern: str) -> bool:
    return any(star for star, _ in _parts(pattern))


def literal(pattern: str) -> str:
    """The text of a pattern, with wildcards as they stand."""
    return "".join("*" if star else text for star, text in _parts(pattern))


def like(pattern: str) -> str:
    """For SQL's LIKE with a backslash as the escape character."""
    return "".join("%" if star else re.sub(r"([\\%_])", r"\\\1", text) for star, text in _parts(pattern))


def wildcard(pattern: str) -> str:
    """For Elasticsearch's wildcard query, where `?` is special as well."""
    return "".join("*" if star else re.sub(r"([\\*?])", r"\\\1", text) for star, text in _parts(pattern))


@lru_cache(maxsize=1024)
def compiled(pattern: str) -> re.Pattern[str]:
    """For `fullmatch`. What a star stands for is not tried twice: the first place where the next text fits is as good
    as any later one, so many stars cannot make it slow."""
    parts = _parts(pattern)
    stars = [place for place, (star, _) in enumerate(parts) if star]
    if not stars:
        return re.compile(re.escape(literal(pattern)), re.DOTALL)
    texts = ["" if star else re.escape(text) for star, text in parts]
    first, last = stars[0], stars[-1]
    middle = "".join(f"(?>.*?{''.join(texts[here + 1 : there])})" for here, there in itertools.pairwise(stars))
    return re.compile("".join(texts[:first]) + middle + ".*" + "".join(texts[last + 1 :]), re.DOTALL)
