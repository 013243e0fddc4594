"""One operation of the API: declared once, it is a route and a part of the OpenAPI document."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, is_dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any, TypeVar

from flask import jsonify, request
from werkzeug.wrappers import Response

from ringfence.errors import QueryInvalid
from ringfence.store.rows import WRONG_CURSOR, decode_cursor
from web.export import plain
from web.ordering import NO_TEXT
from web.problems import Refused

Schema = dict[str, Any]
Row = TypeVar("Row")
TEXT: Schema = {"type": "string"}
NUMBER: Schema = {"type": "integer"}
OBJECT: Schema = {"type": "object", "additionalProperties": True}
MOMENT: Schema = {"type": "string", "format": "date-time"}


def list_of(schema: Schema) -> Schema:
    return {"type": "array", "items": schema}


def fields(required: tuple[str, ...] = (), **properties: Schema) -> Schema:
    """An object schema."""
    schema: Schema = {"type": "object", "properties": properties}
    return schema | {"required": list(required)} if required else schema


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A query or header parameter."""

    name: str
    doc: str
    schema: Schema
    place: str = "query"
    required: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """`path` is below `/api/v1` with `{braces}`; `name` is the endpoint without `api.`; `status` that of success."""

    method: str
    path: str
    name: str
    view: Callable[..., Any]
    summary: str
    answer: Schema
    queries: tuple[Query, ...] = ()
    body: Schema | None = None
    status: int = 200
    content: str = "application/json"
    problems: tuple[int, ...] = ()

    @property
    def rule(self) -> str:
        """The path as Flask has it."""
        return self.path.replace("{", "<").replace("}", ">").replace("<revision>", "<int:revision>")

    def check(self, given: Iterable[str]) -> None:
        """Raises `Refused`, 422, for a query parameter that it does not declare: ignored, it would promise too much."""
        known = [query.name for query in self.queries if query.place == "query"]
        if unknown := sorted(set(given) - set(known)):
            raise Refused(422, f"Unknown parameter {unknown[0][:60]!r}; known are {', '.join(known) or 'none'}.")


WINDOW = (
    Query(name="range", doc="15m, 1h (the default), 24h or 7d, ending now.", schema=TEXT),
    Query(name="from", doc="Start: ISO 8601 or seconds since 1970.", schema=TEXT),
    Query(name="to", doc="End, not included; now when left out.", schema=TEXT),
    Query(name="tz", doc="Zone of moments without an offset, such as Europe/Berlin; UTC when left out.", schema=TEXT),
)
FILTER = Query(name="q", doc="Filter, as in the dashboard's filter bar.", schema=TEXT)
LIMIT = Query(name="limit", doc="Rows at most.", schema={"type": "integer", "minimum": 1, "maximum": 1000})
NEXT: Schema = {"type": ["string", "null"], "description": "Continues the list; null at its end."}
CURSOR = Query(name="cursor", doc="Continues a list: the cursor of its former answer.", schema=TEXT)


def answer(body: Any, status: int = 200, **headers: str) -> Response:
    """Plain JSON of dataclasses, times, addresses and enums."""
    response = jsonify(as_plain(body))
    response.status_code = status
    for name, value in headers.items():
        response.headers[name.replace("_", "-")] = value
    return response


def as_plain(value: Any) -> Any:
    """A value of the model as JSON has it."""
    if is_dataclass(value) and not isinstance(value, type):
        names = value.__dataclass_fields__
        return {name: as_plain(getattr(value, name)) for name in names}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {str(key): as_plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [as_plain(item) for item in value]
    return plain(value)


def body_of(**wanted: type) -> dict[str, Any]:
    """The JSON object of a request with exactly these fields allowed; each is checked for its type.

    Raises:
        Refused: 415 for another content type, 400 for no object, 422 for an unknown field, a wrong type, or a
            text with characters that no store can hold.
    """
    if not request.is_json:
        raise Refused(415, "Send JSON, with Content-Type: application/json.")
    found = request.get_json(silent=True)
    if not isinstance(found, dict):
        raise Refused(400, "The body must be a JSON object.")
    unknown = sorted(set(found) - set(wanted))
    if unknown:
        raise Refused(422, f"Unknown field {unknown[0][:60]!r}; known are {', '.join(wanted)}.")
    for name, value in found.items():
        if not isinstance(value, wanted[name]) or (isinstance(value, bool) and wanted[name] is int):
            raise Refused(422, f"{name} must be {wanted[name].__name__}.")
        if any(NO_TEXT.search(text) for text in _texts(value)):
            raise Refused(422, f"{name} has control characters, or half a character, in it.")
    return found


def _texts(value: Any) -> Iterator[str]:
    """Every text in a value of JSON, however deep, names included."""
    left = [value]
    while left:
        item = left.pop()
        if isinstance(item, str):
            yield item
        elif isinstance(item, dict):
            left += [*item, *item.values()]
        elif isinstance(item, list):
            left += item


def limit_of(default: int = 100, most: int = 1000) -> int:
    """The `limit` parameter.

    Raises:
        Refused: 422 when it is no number between 1 and `most`.
    """
    text = request.args.get("limit", str(default))
    if not (text.isascii() and text.isdecimal() and len(text) <= len(str(most)) and 1 <= int(text) <= most):
        raise Refused(422, f"limit must be a number between 1 and {most}.")
    return int(text)


def cut(rows: Sequence[Row], limit: int, position: Callable[[Row], str]) -> tuple[Sequence[Row], str | None]:
    """Of one row more than asked for, the rows of the page and the cursor that continues after them, if any do."""
    return (rows[:limit], position(rows[limit - 1])) if len(rows) > limit else (rows, None)


def read_position(text: str) -> tuple[datetime, str]:
    """The moment and the id in a cursor.

    Raises:
        QueryInvalid: not a cursor of ours.
    """
    micros, last_id = decode_cursor(text)
    if "\0" in last_id:  # PostgreSQL cannot be asked for it
        raise QueryInvalid(WRONG_CURSOR)
    return datetime.fromtimestamp(0, UTC) + timedelta(microseconds=micros), last_id
