from __future__ import annotations

from ipaddress import ip_network

import pytest

from audit.report.document import Document, Table
from audit.report.segmentation import make_segmentation_report
from audit.report.sources import MOST_GROUPS
from policy_engine.selector import SelectorInvalid
from ringfence.model.workload import Attachment, NetworkKind, WorkloadKind
from tests.support.audit_sources import (
    SHOP_POLICY,
    START,
    denied,
    flow,
    gap,
    revision,
    shop,
    slipped,
    sources,
    workload,
)


def table(document: Document, key: str) -> Table:
    return next(found for section in document.sections for found in section.tables if found.key == key)


def test_it_says_who_could_who_did_what_was_denied_and_which_gaps() -> None:
    document = make_segmentation_report(sources([flow(), denied(), slipped()], gaps=(gap(),)))
    assert [section.key for section in document.sections] == [
        "controls", "scope", "could", "did", "denied", "completeness",
    ]  # fmt: skip
    assert ("api", "db", "tcp/5432", "allowed", 1) in {row[:5] for row in table(document, "did").rows}
    assert table(document, "denied").rows[0][:4] == ("web", "db", "tcp/5432", 1)
    assert table(document, "violations").rows[0][:4] == ("web", "db", "tcp/23", 1)
    assert "1 connections went through" not in document.statement
    assert "1 connection went through that policy denies" in document.statement


def test_the_matrix_shows_what_is_open_between_zones() -> None:
    found = table(make_segmentation_report(sources([flow()])), "matrix")
    assert [column.title for column in found.columns] == ["From \\ to", "api", "db", "web", "outside"]
    assert dict(zip(["api", "db", "web", "outside"], found.rows[0][1:], strict=True))["db"] == "tcp/5432"
    assert found.rows[-1][-1] is None


def test_a_network_outside_that_policy_lets_in_is_not_called_closed() -> None:
    policy = SHOP_POLICY.replace("ingress: []", "ingress: [{action: allow, from: [{networks: [198.51.100.0/24]}]}]")
    document = make_segmentation_report(sources([flow()], of=shop(revisions=(revision(1, policy),))))
    outside = next(row for row in table(document, "matrix").rows if row[0] == "outside")
    assert outside[1:4] == ("all but ipv6-icmp", "closed", "all")
    could = next(row for row in table(document, "could").rows if row[:2] == ("outside", "api"))
    assert could[2:] == ("", "", "everything else", "ipv6-icmp")


def test_a_named_network_outside_that_policy_lets_in_is_not_called_closed() -> None:
    policy = SHOP_POLICY.replace("role == 'api'\"}], services", "role in {'api', 'office'}\"}], services")
    part = Attachment(network="wan", kind=NetworkKind.OTHER, since=START, networks=(ip_network("198.51.100.0/24"),))
    office = workload("office", kind=WorkloadKind.EXTERNAL, attachments=(part,))
    members = (*shop().workloads.current(), office)
    document = make_segmentation_report(sources([flow()], of=shop(workloads=members, revisions=(revision(1, policy),))))
    outside = next(row for row in table(document, "matrix").rows if row[0] == "outside")
    assert outside[1:4] == ("closed", "tcp/5432", "all")


def test_all_but_what_is_denied_stands_in_the_matrix() -> None:
    policy = SHOP_POLICY.replace(
        "ingress: []", "ingress: [{action: deny, services: [{protocol: tcp, ports: [22]}]}, {action: allow}]"
    )
    document = make_segmentation_report(sources([flow()], of=shop(revisions=(revision(1, policy),))))
    assert next(row for row in table(document, "matrix").rows if row[0] == "web")[1] == "all but tcp/22"


def test_a_list_that_was_cut_says_so() -> None:
    many = [
        attempt("web", src_ip=f"10.{number >> 8}.{number & 255}.1")
        for number in range(MOST_GROUPS)
        for attempt in (denied, slipped)
    ]
    document = make_segmentation_report(sources(many))
    notes = [note.text for note in next(part for part in document.sections if part.key == "denied").notes]
    assert [f"Only the {MOST_GROUPS:,} most frequent" in note for note in notes] == [True, True]


def test_no_violation_is_claimed_only_over_a_whole_picture() -> None:
    assert "no connection was recorded that got past policy" in make_segmentation_report(sources([flow()])).statement
    for doubtful in (sources([flow()], gaps=(gap(),)), sources([]), sources([flow()], text="port: 5432")):
        assert "cannot be said" in make_segmentation_report(doubtful).statement


def test_the_scope_selects_what_is_judged() -> None:
    document = make_segmentation_report(sources([flow("web", "x", enforced_basis="default")], scope="role == 'db'"))
    facts = {fact.label: fact.value for fact in document.sections[1].facts}
    assert facts["Workloads in scope"] == 1
    results = {row[1]: row[3] for row in table(document, "controls").rows}
    assert results["1.3.1"] == "pass"
    assert results["AC-4"] == "not decided"


def test_a_scope_nobody_can_read_is_refused() -> None:
    with pytest.raises(SelectorInvalid):
        make_segmentation_report(sources([flow()], scope="role =="))


def test_many_zones_are_listed_without_a_matrix() -> None:
    many = tuple(workload(f"w{number}") for number in range(12))
    document = make_segmentation_report(sources([flow()], of=shop(workloads=many)))
    keys = {found.key for section in document.sections for found in section.tables}
    assert "matrix" not in keys and "could" in keys


def test_every_row_has_a_cell_for_every_column() -> None:
    document = make_segmentation_report(sources([flow(), denied(), slipped()]))
    for section in document.sections:
        for found in section.tables:
            assert {len(row) for row in found.rows} <= {len(found.columns)}, found.key
