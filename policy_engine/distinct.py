"""The distinct combinations of several columns of a table, so that each is decided once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

LIMIT = 1 << 62
SEPARATOR = "\x1f"

Codes = np.ndarray[Any, np.dtype[np.int64]]


def distinct(table: pa.Table, columns: Sequence[str]) -> tuple[Codes, Codes]:
    """(rows, inverse): one row number per distinct combination, and for each row of the table which one it has."""
    key = np.zeros(table.num_rows, dtype=np.int64)
    size = 1
    for name in columns:
        codes, width = _codes(table.column(name))
        if size * width > LIMIT:
            _, key = np.unique(key, return_inverse=True)
            size = int(key.max(initial=0)) + 1
        key = key * width + codes
        size *= width
    _, rows, inverse = np.unique(key, return_index=True, return_inverse=True)
    return rows.astype(np.int64), inverse.astype(np.int64)


def _codes(column: pa.ChunkedArray) -> tuple[Codes, int]:
    """A small number per value, nulls included, and how many there are."""
    if pa.types.is_null(column.type):
        return np.zeros(len(column), dtype=np.int64), 1
    if pa.types.is_list(column.type):
        column = pc.binary_join(column, SEPARATOR)
    encoded = pc.dictionary_encode(column, null_encoding="encode").combine_chunks()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.chunk(0) if encoded.num_chunks else pa.array([], type=encoded.type)
    return encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64), max(len(encoded.dictionary), 1)
