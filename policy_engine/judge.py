"""Batches of flows judged: what policy would do with each, why, and what was violated.

Each distinct combination of ends and service is decided once; the answers are then spread over the rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address
from typing import Any

import pyarrow as pa

from policy_engine.distinct import Codes, distinct
from policy_engine.endpoint import Endpoint, Request
from policy_engine.evaluate import combine
from policy_engine.identity import identity_of, labels_of
from policy_engine.sentence import explain
from policy_engine.verdicts import Verdicts
from policy_engine.violations import Violation, violations
from ringfence.model.finding import Finding
from ringfence.model.flow import ARROW_TYPES, BY_NAME
from ringfence.model.policy import PolicySet
from ringfence.model.verdict import Direction, Outcome, Verdict, parse_ref
from ringfence.model.workload import Address, WorkloadKind

KEY = (
    *(f"{side}_{part}" for side in ("src", "dst") for part in ("workload", "name", "kind", "labels", "ip")),
    "nat_src_ip",
    "nat_dst_ip",
    "nat_dst_port",
    "dst_port",
    "protocol",
    "icmp_type",
    "icmp_code",
    "enforced",
    "rule",
    "egress_rule",
    "ingress_rule",
)
"""Everything that a verdict or its sentence depends on."""

FILLED = ("src_identity", "dst_identity", "sentence", "staged", "staged_rule", "staged_sentence", "revision")


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """`flows` has the schema it came with, its verdict columns filled; `findings` are the batch's violations."""

    flows: pa.Table
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    """What one distinct combination gets; None where nothing is known."""

    columns: Mapping[str, Any]
    violation: Violation | None


class Judge:
    """Judges by one revision of the policy. Keeps no state but caches; the same batch gets the same answer."""

    def __init__(self, policies: PolicySet, revision: int) -> None:
        self._verdicts = Verdicts(policies)
        self._revision = revision

    def judge(self, flows: pa.Table) -> Judged:
        """Fill `src_identity`, `dst_identity`, `sentence`, `staged`, `staged_rule`, `staged_sentence` and `revision`.

        `flows` has `FLOW_SCHEMA`. Rows without a workload at either end keep a null staged verdict.
        """
        if not flows.num_rows:
            return Judged(flows=flows, findings=())
        answers, inverse = self._answers(flows)
        found = violations(flows, inverse, [answer.violation for answer in answers])
        return Judged(flows=_filled(flows, answers, inverse), findings=found)

    def stage(self, flows: pa.Table) -> pa.Table:
        """The same columns filled, without findings: for rows that stand for many flows."""
        return _filled(flows, *self._answers(flows)) if flows.num_rows else flows

    def _answers(self, flows: pa.Table) -> tuple[list[_Answer], Codes]:
        rows, inverse = distinct(flows, KEY)
        return [self._answer(row) for row in flows.select(KEY).take(pa.array(rows)).to_pylist()], inverse

    def _answer(self, row: dict[str, Any]) -> _Answer:
        ends = Ends.of(row)
        staged = self._staged(ends) if ends.known else None
        enforced = _outcome(row["enforced"])
        sentence = None if enforced is None else self._enforced_sentence(row, ends, enforced)
        columns = {
            "src_identity": None if ends.source.labels is None else identity_of(ends.source.labels).id,
            "dst_identity": None if ends.destination.labels is None else identity_of(ends.destination.labels).id,
            "sentence": sentence,
            "staged": staged and staged.outcome.value,
            "staged_rule": staged and str(staged.rule),
            "staged_sentence": staged and staged.sentence,
            "revision": self._revision,
        }
        return _Answer(columns=columns, violation=_violation(row, ends, enforced, sentence, staged))

    def _staged(self, ends: Ends) -> Verdict:
        """Each end judges what it sees: the source the address it asked for, the destination what translation left."""
        egress = self._verdicts.direction(Direction.EGRESS, ends.source, ends.asked, ends.request)
        ingress = self._verdicts.direction(Direction.INGRESS, ends.seen, ends.destination, ends.arriving)
        return combine(egress, ingress)

    def _enforced_sentence(self, row: dict[str, Any], ends: Ends, outcome: Outcome) -> str:
        ref = parse_ref(_rule(row))
        selected = False
        if ref is not None:
            owner = ends.destination if ref.direction is Direction.INGRESS else ends.source
            selected = self._verdicts.selected(ref.direction, owner)
        arrives = ref is not None and ref.direction is Direction.INGRESS
        return explain(
            source=ends.source.name,
            destination=ends.destination.name,
            request=str(ends.arriving if arrives else ends.request),
            outcome=outcome,
            rule=ref,
            selected=selected,
        )


def _filled(flows: pa.Table, answers: Sequence[_Answer], inverse: Codes) -> pa.Table:
    spread = pa.array(inverse)
    for name in FILLED:
        values = pa.array([answer.columns[name] for answer in answers], type=ARROW_TYPES[BY_NAME[name].type])
        index = flows.schema.get_field_index(name)
        flows = flows.set_column(index, flows.schema.field(index), values.take(spread))
    return flows


@dataclass(frozen=True, slots=True, kw_only=True)
class Ends:
    """Both ends of a flow. `asked` is the destination as the source sees it, `seen` the source as it arrives."""

    source: Endpoint
    destination: Endpoint
    asked: Endpoint
    seen: Endpoint
    request: Request
    arriving: Request

    @classmethod
    def of(cls, row: dict[str, Any]) -> Ends:
        """From the columns of `KEY`."""
        request = Request(
            protocol=row["protocol"], port=row["dst_port"], icmp_type=row["icmp_type"], icmp_code=row["icmp_code"]
        )
        port = row["nat_dst_port"] if row["nat_dst_port"] is not None else request.port
        source = _end(row, "src", row["src_ip"])
        destination = _end(row, "dst", row["nat_dst_ip"] or row["dst_ip"])
        return cls(
            source=source,
            destination=destination,
            asked=_seen_as(destination, row["dst_ip"], row["nat_dst_ip"]),
            seen=_seen_as(source, row["nat_src_ip"] or row["src_ip"], row["nat_src_ip"] and row["src_ip"]),
            request=request,
            arriving=Request(
                protocol=request.protocol, port=port, icmp_type=request.icmp_type, icmp_code=request.icmp_code
            ),
        )

    @property
    def known(self) -> bool:
        """Whether there is a workload at either end."""
        return self.source.labels is not None or self.destination.labels is not None


def _end(row: dict[str, Any], side: str, address: str) -> Endpoint:
    known = row[f"{side}_workload"] is not None
    return Endpoint(
        name=(row[f"{side}_name"] or row[f"{side}_workload"]) if known else address,
        labels=labels_of(row[f"{side}_labels"]) if known else None,
        address=parsed_address(address),
        governed=row[f"{side}_kind"] != WorkloadKind.EXTERNAL.value,
    )


def _seen_as(end: Endpoint, address: str, other: str | None) -> Endpoint:
    """The end under another address: behind a translated one, rules cannot tell whose labels it has."""
    if other is None or other == address:
        return end
    return Endpoint(name=end.name, labels=None, address=parsed_address(address))


@lru_cache(maxsize=65_536)
def parsed_address(text: str) -> Address | None:
    """None for what is no address, so that no network matches it."""
    try:
        return ip_address(text)
    except ValueError:
        return None


def _outcome(text: str | None) -> Outcome | None:
    return Outcome(text) if text in (Outcome.ALLOWED.value, Outcome.DENIED.value) else None


def _rule(row: dict[str, Any]) -> str:
    """The deciding rule; where nobody named it, that of the end which the connection reached last."""
    return str(row["rule"] or row["ingress_rule"] or row["egress_rule"] or "")


def _violation(
    row: dict[str, Any], ends: Ends, enforced: Outcome | None, sentence: str | None, staged: Verdict | None
) -> Violation | None:
    """What is wrong with such flows: they were denied, or would have been."""
    if enforced is Outcome.DENIED:
        rule, words, is_staged = _rule(row), sentence or "", False
    elif staged is not None and staged.denied:
        rule, words, is_staged = str(staged.rule), staged.sentence, True
    else:
        return None
    ids = (row["src_workload"], row["dst_workload"])
    return Violation.between(ends.source, ends.destination, ids, rule=rule, sentence=words, staged=is_staged)
