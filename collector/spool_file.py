"""The file of one batch in the spool: Arrow IPC, its gaps in the schema's metadata, sealed with a checksum.

In comes a batch, out come bytes, and the other way round. A bit that flipped on the disk is named as damage, never read
as other rows. Nothing here knows of folders.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from ringfence.model.flow import FLOW_SCHEMA, FlowBatch
from ringfence.model.gap import Gap, GapCause

Packed = bytes
"""The file of one batch."""

_META = b"ringfence"
_MARK = b"sealed32"
"""Ends a file together with the CRC-32 of all before. Files of before there were seals end with Arrow's own mark."""
_SEAL_BYTES = len(_MARK) + 4
DAMAGE = (OSError, pa.ArrowException, ValueError, KeyError, OverflowError)
"""What reading a file may raise that is not as it was written."""


def pack(host: str, flows: pa.Table, gaps: Sequence[Gap]) -> Packed:
    """The bytes of a batch's file."""
    meta = {"host": host, "gaps": [_gap_to_dict(gap) for gap in gaps]}
    buffer = pa.BufferOutputStream()
    table = flows.replace_schema_metadata({_META: json.dumps(meta).encode()})
    with pa.ipc.new_file(buffer, table.schema, options=pa.ipc.IpcWriteOptions(compression="lz4")) as writer:
        writer.write_table(table)
    data: bytes = buffer.getvalue().to_pybytes()
    return data + _seal(data)


def unpack(file: Packed, batch_id: str, rows: int) -> FlowBatch:
    """What `pack` made of a batch, which had so many rows.

    Raises:
        one of `DAMAGE`: the file is not as it was written.
    """
    table = _table(file)
    meta = json.loads((table.schema.metadata or {})[_META])
    flows = table.replace_schema_metadata(None)
    if not flows.schema.equals(FLOW_SCHEMA) or flows.num_rows != rows:
        raise ValueError("the file has another schema or another number of rows")
    return FlowBatch(id=batch_id, host=meta["host"], flows=flows, gaps=tuple(map(_gap_from_dict, meta["gaps"])))


def _seal(data: bytes | memoryview) -> bytes:
    return _MARK + zlib.crc32(data).to_bytes(4, "big")


def _table(file: bytes) -> pa.Table:
    """Arrow believes what it reads: damage must not get there."""
    data, seal = memoryview(file)[:-_SEAL_BYTES], file[-_SEAL_BYTES:]
    sealed = seal.startswith(_MARK)
    if sealed and seal != _seal(data):
        raise ValueError("its checksum does not fit")
    with pa.ipc.open_file(pa.BufferReader(data if sealed else file)) as reader:
        table = reader.read_all()
    if not sealed:
        table.validate(full=True)
        for name in ("started", "last_seen", "ended"):
            pc.min_max(table[name]).as_py()  # there are times that Python has not
    return table


def _gap_to_dict(gap: Gap) -> dict[str, object]:
    return {
        "id": gap.id,
        "host": gap.host,
        "started": gap.started.isoformat(),
        "ended": gap.ended.isoformat(),
        "cause": gap.cause.value,
        "lost": gap.lost,
        "detail": gap.detail,
    }


def _gap_from_dict(item: dict[str, str | int | None]) -> Gap:
    lost = item["lost"]
    return Gap(
        id=str(item["id"]),
        host=str(item["host"]),
        started=datetime.fromisoformat(str(item["started"])),
        ended=datetime.fromisoformat(str(item["ended"])),
        cause=GapCause(str(item["cause"])),
        lost=None if lost is None else int(lost),
        detail=str(item["detail"]),
    )
