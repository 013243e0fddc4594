"""The columns hold what the kernel sends, without padding."""

from __future__ import annotations

import numpy as np
import pytest

from collector.columns import CONNTRACK, DENIED, NO_TCP_STATE, MessageKind


@pytest.mark.parametrize("dtype", [CONNTRACK, DENIED], ids=["conntrack", "denied"])
def test_records_are_packed(dtype: np.dtype) -> None:
    assert dtype.itemsize == sum(dtype[name].itemsize for name in dtype.names or ())


@pytest.mark.parametrize(
    ("column", "bits"),
    [("packets", 64), ("reply_bytes", 64), ("start_ns", 64), ("id", 32), ("mark", 32), ("src_port", 16), ("zone", 16)],
)
def test_columns_are_as_wide_as_the_kernels_attributes(column: str, bits: int) -> None:
    record = np.zeros(1, CONNTRACK)
    record[column] = 2**bits - 1
    assert int(record[column][0]) == 2**bits - 1


def test_an_absent_state_is_no_state_of_the_kernel() -> None:
    record = np.zeros(1, CONNTRACK)
    record["tcp_state"], record["kind"] = NO_TCP_STATE, max(MessageKind)
    assert int(record["tcp_state"][0]) > 14  # TCP_CONNTRACK_MAX
    assert MessageKind(record["kind"][0]) is MessageKind.DUMP
