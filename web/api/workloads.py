"""The API of workloads: the list, and one with its policy state, peers and findings."""

from __future__ import annotations

from werkzeug.wrappers import Response

from policy_engine.modes import mode_in
from ringfence.errors import NotFound
from ringfence.model.enforcement import Enforcement
from ringfence.model.policy import PolicySet
from ringfence.model.workload import Workload
from ringfence.store.flows import FlowQuery
from web.api.operation import NUMBER, OBJECT, WINDOW, Operation, answer, as_plain, fields, list_of
from web.bar import read_bar
from web.edges import edges_of
from web.estate import inside
from web.finding_questions import about
from web.guard import services
from web.policy_view import effective, hits_of, read_policy
from web.scope import strict_scope
from web.tokens import term

MOST_FINDINGS = 500
"""Findings of one workload in an answer; `/findings` pages through all."""


def workloads() -> Response:
    state = services().state
    policies = read_policy(state.policies.current().text)
    proofs = {item.workload: item for item in state.enforcements.list()}
    held = {item.workload: item.id for item in state.quarantines.active()}
    rows = [_fields(item, policies, proofs.get(item.id), held.get(item.id)) for item in inside(state)]
    return answer({"workloads": rows})


def workload(workload_id: str) -> Response:
    found = strict_scope(default_range="24h")
    given = services()
    item = given.state.workloads.get(workload_id)
    if item is None:
        raise NotFound("no workload with this id is known")
    query = FlowQuery(
        start=found.window.start, end=found.window.end, filter=read_bar(term("workload", workload_id)).filter
    )
    edges = edges_of(given.flows, query)
    policies = read_policy(given.state.policies.current().text)
    cards = effective(policies, item, hits_of(given.flows, query)) if policies else ()
    held = {entry.workload: entry.id for entry in given.state.quarantines.active()}
    findings = about(given.state.findings, workload_id)
    return answer(
        _fields(item, policies, given.state.enforcements.get(workload_id), held.get(workload_id))
        | {
            "outgoing": [edge for edge in edges.edges if edge.src == workload_id],
            "incoming": [edge for edge in edges.edges if edge.dst == workload_id],
            "policies": [{"tier": tier, **as_plain(card)} for tier, card in cards],
            "findings": findings[:MOST_FINDINGS],
            "findings_left_out": len(findings[MOST_FINDINGS:]),
        }
    )


def _fields(
    item: Workload, policies: PolicySet | None, proof: Enforcement | None, quarantine: str | None
) -> dict[str, object]:
    return {
        **as_plain(item),
        "mode": mode_in(policies, item) if policies else None,
        "enforcement": proof,
        "quarantine": quarantine,
    }


WORKLOAD = {"$ref": "#/components/schemas/Workload"}

OPERATIONS = (
    Operation(
        method="GET",
        path="/workloads",
        name="workloads",
        view=workloads,
        summary="Workloads that run now; named networks outside are told one by one.",
        answer=fields(workloads=list_of(WORKLOAD)),
    ),
    Operation(
        method="GET",
        path="/workloads/{workload_id}",
        name="workload",
        view=workload,
        summary="One workload with its peers in the time range, the policies that select it, and its findings that are "
        "not resolved.",
        queries=WINDOW,
        answer=fields(
            outgoing=list_of(OBJECT),
            incoming=list_of(OBJECT),
            policies=list_of(OBJECT),
            findings=list_of({"$ref": "#/components/schemas/Finding"}),
            findings_left_out=NUMBER
            | {"description": f"How many more there are than the {MOST_FINDINGS} most severe."},
        ),
        problems=(400, 404),
    ),
)
