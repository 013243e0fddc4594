from __future__ import annotations

from datetime import UTC, datetime, timedelta

from ringfence.model.workload import Workload, WorkloadKind
from ringfence.store.database.opening import open_state


def test_a_restart_is_a_run_of_its_own() -> None:
    state = open_state("sqlite://")
    start = datetime(2026, 1, 1, tzinfo=UTC)
    runs = [
        Workload(
            id="w", name="web", kind=WorkloadKind.CONTAINER, host="h", netns=number,
            started=start + timedelta(hours=number), ended=None if number else start + timedelta(minutes=5),
        )
        for number in range(2)
    ]  # fmt: skip
    state.workloads.save(iter(runs))
    assert state.workloads.get("w") == runs[1]
    assert state.workloads.current() == (runs[1],)
    assert state.workloads.seen(start, start + timedelta(hours=2)) == tuple(runs)
    state.close()
