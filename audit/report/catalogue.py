"""The reports there are, and the one door to all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from audit.report.document import Document
from audit.report.flow_report import make_flow_report
from audit.report.parameters import KEYS, ParametersInvalid, read_parameters
from audit.report.policy_report import make_policy_report
from audit.report.segmentation import make_segmentation_report
from audit.report.sources import Progress, Sources, Trail, never, no_progress
from policy_engine.selector import compile_selector
from ringfence.clock import Clock
from ringfence.errors import RingfenceError
from ringfence.store.flows import FlowReader
from ringfence.store.state import State

SHARED = ("start", "end", "zone", "filter")


class ReportUnknown(RingfenceError):
    """There is no report of that kind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportKind:
    """One entry of the catalogue: what it answers, and the parameters it takes."""

    name: str
    title: str
    description: str
    parameters: tuple[str, ...]
    make: Callable[[Sources], Document]


CATALOGUE: dict[str, ReportKind] = {
    kind.name: kind
    for kind in (
        ReportKind(
            name="flow",
            title="Flow report",
            description="Who talked to whom, what decided it, and what was denied?",
            parameters=SHARED,
            make=make_flow_report,
        ),
        ReportKind(
            name="policy",
            title="Policy report",
            description="What was in force, who changed it and why, and did the kernel enforce it?",
            parameters=SHARED,
            make=make_policy_report,
        ),
        ReportKind(
            name="segmentation",
            title="Segmentation compliance report",
            description="Who could, who did, what was denied, which gaps, and which controls hold?",
            parameters=KEYS,
            make=make_segmentation_report,
        ),
    )
}


def check_order(kind: str, parameters: Mapping[str, Any], now: datetime) -> None:
    """Whether a report can be ordered like this, so that whoever asks for the impossible learns it at once.

    Raises:
        ReportUnknown, ParametersInvalid, FilterInvalid, SelectorInvalid: as `make_report`, and for a parameter that
            this kind does not take.
    """
    found = _kind(kind)
    unknown = sorted(set(parameters) - set(found.parameters))
    if unknown:
        raise ParametersInvalid(
            f"the {found.title.lower()} has no parameter {', '.join(unknown)[:60]}",
            hint=f"parameters are {', '.join(found.parameters)}",
        )
    read = read_parameters(parameters, now)
    if read.scope:
        compile_selector(read.scope)


def _kind(name: str) -> ReportKind:
    found = CATALOGUE.get(name)
    if found is None:
        raise ReportUnknown(f"there is no report “{name[:60]}”", hint=f"reports are {', '.join(CATALOGUE)}")
    return found


def make_report(  # noqa: PLR0917 -- the sources in the order every caller knows them
    kind: str,
    parameters: Mapping[str, Any],
    flows: FlowReader,
    state: State,
    log: Trail | None,
    clock: Clock,
    *,
    progress: Progress = no_progress,
    cancelled: Callable[[], bool] = never,
) -> Document:
    """Compute a report over the window of `parameters` (see `audit.report.parameters`).

    `log` None: this process cannot read the audit log; the report says so.

    Raises:
        ReportUnknown: no such kind.
        ParametersInvalid, FilterInvalid, SelectorInvalid: what was asked for is impossible.
        ReportCancelled: `cancelled()` became true.
        StoreUnavailable, AuditUnavailable: a source did not answer.
    """
    found = _kind(kind)
    now = clock()
    sources = Sources(
        parameters=read_parameters(parameters, now),
        flows=flows,
        state=state,
        trail=log,
        clock=lambda: now,
        progress=progress,
        cancelled=cancelled,
    )
    return found.make(sources)
