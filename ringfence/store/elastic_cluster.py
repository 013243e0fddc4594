"""The Elasticsearch cluster: a client whose failures are `StoreUnavailable`, the indices, and bulk writing.

Only what the bare server has is used: no lifecycle policies, scripts, delete-by-query or version requests.
"""

from __future__ import annotations

import http.client
import ssl
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import elastic_transport
from elasticsearch import ApiError, BadRequestError, Elasticsearch

from ringfence.errors import QueryInvalid, StoreAway, StoreUnavailable
from ringfence.store.elastic_documents import BATCH_MAPPINGS, GAP_MAPPINGS, mappings

REQUEST_SECONDS = 30
GREETING_SECONDS = 5
"""Longest wait for a server that has never answered yet."""
BULK_BYTES = 5 * 1024 * 1024
PAGE = 5_000
"""Documents asked for at once; the server's limit is 10,000."""

UNAVAILABLE = 503
AWAY = {429, 502, 503, 504}
"""What a server answers, or one before it, that will do better later."""
SHARD_PAUSES = (0.05, 0.1, 0.2, 0.4, 0.8)
"""Seconds between attempts to search: an index that was just made answers 503 until its shard has started."""

FLOW_SETTINGS: dict[str, Any] = {
    "number_of_shards": 1,
    "auto_expand_replicas": "0-1",
    "codec": "best_compression",
    # A writer refreshes when its batch is whole; a refresh by the clock would show halves more often.
    "refresh_interval": "-1",
}
SMALL_SETTINGS: dict[str, Any] = {"number_of_shards": 1, "auto_expand_replicas": "0-1"}

HARMLESS = {("create", 409), ("delete", 404)}
"""A document that is there already, or gone already: what the operation was for holds."""


class Cluster:
    """Names, set-up and raw operations. Thread-safe, as the client is.

    Raises:
        StoreUnavailable: from every method, when the server does not answer or refuses.
    """

    def __init__(self, url: str, *, ca: str, prefix: str) -> None:
        self.final = f"{prefix}-flows"
        self.open = f"{prefix}-flows-open"
        self.gaps = f"{prefix}-gaps"
        self.batches = f"{prefix}-batches"
        self.flows = f"{self.final},{self.open}"
        self._prepared = False
        try:
            if ca:
                Path(ca).read_bytes()  # the client would notice at its first request only
            secure: dict[str, Any] = {"ca_certs": ca} if ca else {}
            self.client = Elasticsearch(url, request_timeout=REQUEST_SECONDS, max_retries=1, **secure)
        except (ValueError, OSError) as error:
            raise StoreUnavailable(f"store.flows cannot be used: {error}", hint="check its URL and CA file") from error

    def prepare(self) -> None:
        """Once: create what is missing, and bring the mapping of flows to the present schema."""
        if self._prepared:
            return
        indices = self.client.indices
        with failures():
            self.client.options(request_timeout=GREETING_SECONDS, max_retries=0).indices.exists(index=self.open)
            indices.put_index_template(
                name=self.final,
                index_patterns=[self.final],
                data_stream={},
                priority=500,
                template={"settings": FLOW_SETTINGS, "mappings": mappings()},
            )
            self._create(self.open, FLOW_SETTINGS, mappings())
            self._create(self.gaps, SMALL_SETTINGS, GAP_MAPPINGS)
            self._create(self.batches, SMALL_SETTINGS, BATCH_MAPPINGS)
            if indices.exists(index=self.final):
                indices.put_mapping(index=self.final, properties=mappings()["properties"])
            indices.put_mapping(index=self.open, properties=mappings()["properties"])
            indices.put_mapping(index=self.gaps, properties=GAP_MAPPINGS["properties"])
            indices.refresh(index=f"{self.flows},{self.gaps}", ignore_unavailable=True)
        self._prepared = True

    def _create(self, name: str, settings: dict[str, Any], body: dict[str, Any]) -> None:
        if not self.client.indices.exists(index=name):
            try:
                self.client.indices.create(index=name, settings=settings, mappings=body)
            except BadRequestError as error:
                if error.error != "resource_already_exists_exception":
                    raise

    def has_final(self) -> bool:
        """Whether the data stream is there: the first final flow makes it, by the template."""
        with failures():
            return bool(self.client.indices.exists(index=self.final))

    def write(self, operations: Iterable[tuple[str, str, str, bytes | None]]) -> None:
        """Tuples of (`create`, `index` or `delete`, index, document id, document)."""
        lines: list[bytes] = []
        size = 0
        for action, index, id_, body in operations:
            lines.append(_action_line(action, index, id_))
            if body is not None:
                lines.append(body)
            size += len(body or b"") + 200
            if size >= BULK_BYTES:
                self._send(lines)
                lines, size = [], 0
        if lines:
            self._send(lines)

    def _send(self, lines: list[bytes]) -> None:
        wanted = ["errors", "items.*.status", "items.*.error.type", "items.*.error.reason"]
        with failures():
            answer = self.client.bulk(operations=cast(Any, lines), filter_path=wanted)
        if not answer["errors"] and all("error" not in item for item in answer.get("items", ())):
            return
        for item in answer["items"]:
            for action, result in item.items():
                if result["status"] >= 400 and (action, result["status"]) not in HARMLESS:
                    reason = result.get("error", {})
                    raise StoreUnavailable(
                        f"Elasticsearch refused a document: {result['status']} {reason.get('type')}:"
                        f" {reason.get('reason')}"
                    )

    def refresh(self, *names: str) -> None:
        with failures():
            self.client.indices.refresh(index=",".join(names), ignore_unavailable=True)

    def search(self, index: str, **body: Any) -> dict[str, Any]:
        """An index that is not there counts as empty; one that cannot be read whole is unavailable."""
        whole: dict[str, Any] = {"ignore_unavailable": True, "allow_partial_search_results": False}
        with failures():
            for pause in SHARD_PAUSES:
                try:
                    return dict(self.client.search(index=index, **whole, **body))
                except ApiError as error:
                    if error.status_code != UNAVAILABLE:
                        raise
                    time.sleep(pause)
            return dict(self.client.search(index=index, **whole, **body))

    def ask(self, **body: Any) -> dict[str, Any]:
        """Search all flows for a reader. Raises QueryInvalid: the server does not take the question."""
        try:
            return self.search(self.flows, **body)
        except StoreUnavailable as error:
            if isinstance(error.__cause__, BadRequestError):
                raise QueryInvalid(f"Elasticsearch does not take the question: {error.__cause__.message}") from error
            raise

    def every(self, index: str, query: dict[str, Any], *, sort: list[Any], **body: Any) -> Iterator[dict[str, Any]]:
        """All hits in the order of `sort`, whose last key must be unique."""
        after: dict[str, Any] = {}
        while True:
            found = self.search(index, query=query, sort=sort, size=PAGE, track_total_hits=False, **body, **after)
            hits = found["hits"]["hits"]
            yield from hits
            if len(hits) < PAGE:
                return
            after = {"search_after": hits[-1]["sort"]}

    def has(self, index: str, id_: str) -> bool:
        with failures():
            return bool(self.client.exists(index=index, id=id_))

    def create(self, index: str, id_: str, document: dict[str, Any]) -> bool:
        """False when a document of this id is there."""
        with failures():
            try:
                self.client.create(index=index, id=id_, document=document)
            except ApiError as error:
                if error.status_code == 409:
                    return False
                raise
        return True

    def close(self) -> None:
        self.client.close()


def _action_line(action: str, index: str, id_: str) -> bytes:
    return elastic_transport.JsonSerializer().dumps({action: {"_index": index, "_id": id_}})


@contextmanager
def failures() -> Iterator[None]:
    """Every way a server can fail the caller, as one; StoreAway where it may be there later."""
    try:
        yield
    except (elastic_transport.TransportError, ApiError) as error:
        kind = StoreAway if _may_pass(error) else StoreUnavailable
        raise kind(f"Elasticsearch failed: {_reason(error)}") from error


def _may_pass(error: elastic_transport.TransportError | ApiError) -> bool:
    """Not what somebody has to mend: a wrong password, another kind of server, a certificate that nobody trusts.

    A connection that ends within the handshake passes: so does a port forwarder's whose server has not started yet.
    """
    if isinstance(error, ApiError):
        return error.status_code in AWAY
    first = _first_cause(error)
    untrusted = isinstance(first, ssl.SSLCertVerificationError)
    no_tls = isinstance(first, ssl.SSLError) and first.reason == "WRONG_VERSION_NUMBER"
    no_http = isinstance(first, http.client.BadStatusLine) and not isinstance(first, http.client.RemoteDisconnected)
    connecting = isinstance(error, elastic_transport.ConnectionError | elastic_transport.ConnectionTimeout)
    return connecting and not (untrusted or no_tls or no_http)


def _reason(error: elastic_transport.TransportError | ApiError) -> str:
    """What happened first; what the layers above made of it says less in more words."""
    if isinstance(error, ApiError):
        return str(error)
    first = _first_cause(error)
    text = (first.strerror if isinstance(first, OSError) else None) or str(first) or type(first).__name__
    return "".join(letter if letter.isprintable() else " " for letter in text)


def _first_cause(error: BaseException) -> BaseException:
    while cause := error.__cause__ or error.__context__:
        error = cause
    return error
