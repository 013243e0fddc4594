"""The file of one batch: what was packed comes out, and what was damaged comes out as nothing."""

from __future__ import annotations

import json
import random
from dataclasses import asdict

import numpy as np
import pyarrow as pa
import pytest

from collector.spool_file import DAMAGE, pack, unpack
from ringfence.model.gap import Gap, GapCause
from tests.support.tracked import START, WEB, World, leg

ID = "1" * 32
GAP = Gap(id="a", host="h", started=START, ended=START, cause=GapCause.SPOOL_FULL, lost=7)
LENGTHS = np.arange(4, dtype=np.int32) * 32
"""Where the ids of three flows begin and end in their column."""


def flows() -> pa.Table:
    world = World()
    world.tick(*(leg(WEB, f"10.1.0.2:{1000 + number}>10.1.0.3:80", id_=number) for number in range(3)))
    world.tick(at=2)
    return world.table()


FLOWS = flows()


def test_what_was_packed_comes_out() -> None:
    found = unpack(pack("h", FLOWS, (GAP,)), ID, 3)
    assert (found.id, found.host, found.flows, found.gaps) == (ID, "h", FLOWS, (GAP,))


def test_no_flipped_bit_changes_a_row() -> None:
    whole = pack("h", FLOWS, (GAP,))
    for bit in random.Random(7).sample(range(len(whole) * 8), 1000):
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(DAMAGE):
            unpack(bytes(damaged), ID, 3)


@pytest.mark.parametrize("kept", [0, 1, 12, 400, -13, -11, -1])
def test_what_was_cut_off_is_missed(kept: int) -> None:
    with pytest.raises(DAMAGE):
        unpack(pack("h", FLOWS, (GAP,))[:kept], ID, 3)


def test_another_number_of_rows_is_damage() -> None:
    with pytest.raises(DAMAGE, match="number of rows"):
        unpack(pack("h", FLOWS, ()), ID, 4)


def former(compression: str | None = "lz4") -> bytes:
    """A file of before there were checksums."""
    meta = {"host": "h", "gaps": [{**asdict(GAP), "started": START.isoformat(), "ended": START.isoformat()}]}
    table = FLOWS.replace_schema_metadata({"ringfence": json.dumps(meta)})
    buffer = pa.BufferOutputStream()
    with pa.ipc.new_file(buffer, table.schema, options=pa.ipc.IpcWriteOptions(compression=compression)) as writer:
        writer.write_table(table)
    made: bytes = buffer.getvalue().to_pybytes()
    return made


def test_a_file_of_before_there_were_checksums_is_read() -> None:
    found = unpack(former(), ID, 3)
    assert (found.flows, found.gaps) == (FLOWS, (GAP,))


@pytest.mark.parametrize(
    ("there", "instead"),
    [
        (LENGTHS.tobytes(), (LENGTHS * (1 << 20)).tobytes()),
        (pa.array([START], pa.timestamp("us")).buffers()[1].to_pybytes(), b"\xff" * 7 + b"\x7f"),
    ],
    ids=["a text outside its column", "a time after the last year"],
)
def test_damage_is_found_in_a_file_of_before_there_were_checksums(there: bytes, instead: bytes) -> None:
    whole = former(compression=None)
    assert there in whole
    with pytest.raises(DAMAGE):
        unpack(whole.replace(there, instead), ID, 3)
