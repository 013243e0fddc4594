"""One suite for the state store over SQLite and a real PostgreSQL."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from ringfence.errors import Conflict, RingfenceError, StoreUnavailable
from ringfence.model.enforcement import Enforcement, EnforcementState
from ringfence.model.quarantine import Check
from ringfence.model.ruleset import FIRST_POLICY_RULE
from ringfence.model.verdict import Direction, RuleRef
from ringfence.model.workload import Attachment, Containment, NetworkKind, Workload, WorkloadKind
from ringfence.store.database.connection import connect
from ringfence.store.database.tables import METADATA
from ringfence.store.state import ReportRecord, Role, State, Token, User
from tests.support.states import Open, at_once

NOW = datetime(2026, 3, 1, 12, 30, 0, 123456, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def test_the_tables_are_those_that_the_migrations_make(target: str | Path, state: State) -> None:
    database = connect(target)
    with database.reading() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, METADATA) == []
    database.close()


def test_everything_is_there_after_opening_again(open_another: Open) -> None:
    first = open_another()
    first.policies.apply(text="one", author="ann", reason="why", at=NOW)
    first.close()
    assert open_another().policies.current().text == "one"


def test_many_may_open_an_empty_database_at_once(open_another: Open) -> None:
    states = at_once(4, lambda _: open_another())
    assert {state.policies.current().revision for state in states} == {0}


def test_a_database_of_a_later_version_is_refused(target: str | Path, state: State, open_another: Open) -> None:
    database = connect(target)
    with database.writing() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    database.close()
    with pytest.raises(StoreUnavailable, match="another version"):
        open_another()


# Policies


def test_revision_0_is_the_empty_policy(state: State) -> None:
    assert (state.policies.current().revision, state.policies.current().text) == (0, "")
    assert state.policies.get(0) == state.policies.current()
    assert [state.policies.get(number) for number in (1, -1, 2**63, 10**30)] == [None] * 4


def test_revisions_are_appended_and_listed_newest_first(state: State) -> None:
    applied = [state.policies.apply(text=text, author="ann", reason="r", at=NOW) for text in ("a", "b")]
    assert [revision.revision for revision in applied] == [1, 2]
    assert state.policies.current() == applied[1]
    assert state.policies.list() == (applied[1], applied[0], state.policies.get(0))
    assert state.policies.list(limit=1) == (applied[1],)
    assert state.policies.list(before=2) == (applied[0], state.policies.get(0))


def test_a_stale_expectation_changes_nothing(state: State) -> None:
    state.policies.apply(text="a", author="ann", reason="", at=NOW, expected=0)
    with pytest.raises(Conflict, match="revision 1"):
        state.policies.apply(text="b", author="bob", reason="", at=NOW, expected=0)
    assert state.policies.current().text == "a"


def test_of_many_who_expect_the_same_revision_one_wins(open_another: Open) -> None:
    states = [open_another() for _ in range(4)]

    def apply(number: int) -> bool:
        try:
            states[number].policies.apply(text=str(number), author="x", reason="", at=NOW, expected=0)
        except Conflict:
            return False
        return True

    assert sorted(at_once(4, apply)) == [False, False, False, True]
    assert states[0].policies.current().revision == 1


def test_many_who_expect_nothing_all_apply(open_another: Open) -> None:
    states = [open_another() for _ in range(4)]
    found = at_once(4, lambda number: states[number].policies.apply(text="x", author="x", reason="", at=NOW).revision)
    assert sorted(found) == [1, 2, 3, 4]


# Rule numbers


def ref(index: int = 0, policy: str = "db") -> RuleRef:
    return RuleRef(tier="application", policy=policy, direction=Direction.INGRESS, index=index)


def test_the_same_rule_has_the_same_number_for_ever(open_another: Open) -> None:
    first, second = open_another(), open_another()
    numbers = first.rule_numbers.assign([(ref(), "digest")], at=NOW)
    assert numbers == {ref(): FIRST_POLICY_RULE}
    assert second.rule_numbers.assign([(ref(), "digest")], at=NOW + SECOND) == numbers
    assert second.rule_numbers.lookup(FIRST_POLICY_RULE) == ref()


def test_another_content_is_another_number_and_the_former_one_keeps_its_name(state: State) -> None:
    for digest, number in (("a", 16), ("b", 17), ("a", 16)):
        assert state.rule_numbers.assign([(ref(-1), digest)], at=NOW) == {ref(-1): number}
    assert [state.rule_numbers.lookup(number) for number in (16, 17)] == [ref(-1), ref(-1)]
    assert state.rule_numbers.lookup(3) is None


def test_a_rule_that_moves_keeps_its_number_and_is_named_where_it_stands(state: State) -> None:
    state.rule_numbers.assign([(ref(0), "a"), (ref(1), "b")], at=NOW)
    after = state.rule_numbers.assign([(ref(0), "new"), (ref(1), "a"), (ref(2), "b")], at=NOW)
    assert after == {ref(0): 18, ref(1): 16, ref(2): 17}
    assert [state.rule_numbers.lookup(number) for number in (16, 17, 18)] == [ref(1), ref(2), ref(0)]


def test_checking_changes_nothing(state: State) -> None:
    state.rule_numbers.assign([(ref(0), "a")], at=NOW)
    state.rule_numbers.check([(ref(1), "a"), (ref(2), "b")], at=NOW)
    assert state.rule_numbers.lookup(16) == ref(0)
    assert state.rule_numbers.lookup(17) is None


def test_numbers_assigned_at_once_are_unique_and_agreed(open_another: Open) -> None:
    states = [open_another() for _ in range(4)]
    rules = [(ref(index), str(index)) for index in range(10)]

    def assign(number: int) -> dict[RuleRef, int]:
        return dict(states[number].rule_numbers.assign(rules if number % 2 else rules[::-1], at=NOW))

    found = at_once(4, assign)
    assert found[0] == found[1] == found[2] == found[3]
    assert sorted(found[0].values()) == list(range(FIRST_POLICY_RULE, FIRST_POLICY_RULE + 10))


# Workloads


def workload(id_: str = "w1", **values: Any) -> Workload:
    return Workload(
        **{"id": id_, "name": f"name-{id_}", "kind": WorkloadKind.CONTAINER, "host": "h1", "started": NOW, **values}
    )


def test_a_workload_comes_back_whole(state: State) -> None:
    attachment = Attachment(
        network="shop",
        kind=NetworkKind.OVERLAY,
        addresses=(ip_address("10.0.0.2"), ip_address("fd00::2")),
        networks=(ip_network("198.51.100.0/24"), ip_network("2001:db8::/32")),
        interface="eth0",
        mac="02:42:0a:00:00:02",
        since=NOW,
        until=NOW + SECOND,
    )
    saved = workload(
        labels={"role": "db", "ключ": "значение"}, image="postgres:15", project="shop", pid=4711, netns=2**32 + 1,
        netns_path="/proc/4711/ns/net", cgroup="/docker/x", attachments=(attachment,),
        containment=Containment.NOT_CONTAINABLE, containment_reason="privileged", ended=NOW + SECOND,
    )  # fmt: skip
    state.workloads.save([workload()])
    state.workloads.save([saved])
    assert state.workloads.get("w1") == saved
    assert state.workloads.get("w2") is None


def test_each_run_of_a_workload_is_kept(state: State) -> None:
    first = workload(ended=NOW + SECOND)
    second = workload(started=NOW + 5 * SECOND)
    other = workload("w0", started=NOW + 7 * SECOND)
    state.workloads.save([second, first, other, other])
    assert state.workloads.get("w1") == second
    assert state.workloads.current() == (other, second)
    assert state.workloads.seen(NOW, NOW + 6 * SECOND) == (first, second)
    assert state.workloads.seen(NOW + 2 * SECOND, NOW + 5 * SECOND) == ()
    state.workloads.save([])


def test_two_who_save_the_same_workloads_in_opposite_orders_both_succeed(open_another: Open) -> None:
    states = [open_another() for _ in range(2)]
    workloads = [workload(f"w{number}") for number in range(200)]
    orders = (workloads, workloads[::-1])
    for _ in range(20):
        at_once(2, lambda number: states[number].workloads.save(orders[number]))
    assert len(states[0].workloads.current()) == 200


# Users and tokens


def test_a_user_is_replaced_by_name(state: State) -> None:
    state.users.save(User(name="ann", role=Role.VIEWER, password_hash="x"))
    changed = User(name="ann", role=Role.ADMIN, password_hash="y", session_epoch=3, disabled=True)
    state.users.save(changed)
    state.users.save(User(name="aaron", role=Role.VIEWER, password_hash="z"))
    assert state.users.get("ann") == changed
    assert state.users.get("Ann") is None
    assert [user.name for user in state.users.list()] == ["aaron", "ann"]


def test_a_one_time_token_works_once(open_another: Open) -> None:
    states = [open_another() for _ in range(4)]
    states[0].tokens.add(Token(digest="d", purpose="login", subject="ann", expires=NOW + SECOND))

    def take(number: int) -> str | None:
        return states[number].tokens.take(digest="d", purpose="login", now=NOW, consume=True)

    assert sorted(at_once(4, take), key=str) == [None, None, None, "ann"]


def test_a_token_is_valid_for_its_purpose_and_time(state: State) -> None:
    state.tokens.add(Token(digest="d", purpose="api", subject="ann", expires=NOW + SECOND))

    def take(purpose: str, now: datetime) -> str | None:
        return state.tokens.take(digest="d", purpose=purpose, now=now, consume=False)

    assert [take("api", NOW), take("api", NOW), take("login", NOW), take("api", NOW + SECOND)] == [
        "ann",
        "ann",
        None,
        None,
    ]


def test_tokens_of_a_purpose_are_listed_while_they_are_valid(state: State) -> None:
    made = [
        Token(digest=f"d{number}", purpose="api", subject="ann", expires=NOW + number * SECOND) for number in range(4)
    ]
    for token in (*made, Token(digest="l", purpose="login", subject="ann", expires=NOW + SECOND)):
        state.tokens.add(token)
    assert state.tokens.list(purpose="api", now=NOW + SECOND) == (made[3], made[2])


# Reports, enforcement


def test_a_report_comes_back_whole_newest_first(state: State) -> None:
    running = ReportRecord(
        id="r1", kind="flows", title="Flows", created=NOW, author="ann", parameters={"a": [1, None, {"b": True}]},
        digest="", files={}, state="running",
    )  # fmt: skip
    done = replace(running, digest="abc", files={"html": "r1.html"}, state="done", error="")
    older = replace(running, id="r0", created=NOW - SECOND)
    for report in (running, older, done):
        state.reports.save(report)
    assert state.reports.get("r1") == done
    assert state.reports.get("r9") is None
    assert state.reports.list() == (done, older)
    assert state.reports.list(limit=1) == (done,)
    assert state.reports.list(state="running") == (older,)
    assert state.reports.list(oldest_first=True, limit=1) == (older,)
    twin = replace(older, id="r00")
    state.reports.save(twin)
    assert state.reports.list(after=(done.created, done.id)) == (older, twin)
    assert state.reports.list(after=(older.created, older.id)) == (twin,)


def test_of_several_workers_one_gets_a_report(state: State) -> None:
    report = ReportRecord(
        id="r1", kind="flows", title="Flows", created=NOW, author="ann", parameters={}, digest="", files={},
        state="running",
    )  # fmt: skip
    state.reports.save(report)
    claims = at_once(4, lambda _: state.reports.claim("r1", now=NOW, until=NOW + SECOND))
    assert sorted(claims) == [False, False, False, True]
    assert not state.reports.claim("r1", now=NOW, until=NOW + SECOND)
    state.reports.release("r1")
    assert state.reports.claim("r1", now=NOW, until=NOW + SECOND)
    assert state.reports.claim("r1", now=NOW + SECOND, until=NOW + 2 * SECOND), "a claim ends by itself"
    assert state.reports.get("r1") == report
    state.reports.advance("r1", progress=40, step="edges")
    assert state.reports.get("r1") == replace(report, progress=40, step="edges")
    assert not state.reports.claim("r1", now=NOW, until=NOW + SECOND), "advancing leaves a claim as it is"


def test_claims_that_nobody_released_are_counted(state: State) -> None:
    report = ReportRecord(
        id="r1", kind="flows", title="Flows", created=NOW, author="ann", parameters={}, digest="", files={},
        state="running",
    )  # fmt: skip
    state.reports.save(report)

    def claim(second: int) -> int:
        return state.reports.claim("r1", now=NOW + second * SECOND, until=NOW + (second + 1) * SECOND)

    assert [claim(0), claim(0), claim(1)] == [1, 0, 2]
    for _ in range(2):
        state.reports.release("r1")
    state.reports.save(report)
    assert claim(1) == 2, "a release takes back the one claim, and saving none"
    assert claim(2) == 3
    assert state.reports.claim("r2", now=NOW, until=NOW + SECOND) == 0
    assert state.reports.get("r1") == report


def test_a_claim_that_is_released_late_leaves_anothers_as_it_is(state: State) -> None:
    report = ReportRecord(
        id="r1", kind="flows", title="Flows", created=NOW, author="ann", parameters={}, digest="", files={},
        state="running",
    )  # fmt: skip
    state.reports.save(report)
    first, second, extended = (NOW + number * SECOND for number in (1, 2, 5))
    assert state.reports.claim("r1", now=NOW, until=first) == 1
    assert state.reports.claim("r1", now=first, until=second) == 2
    state.reports.advance("r1", progress=40, step="edges", until=extended)
    state.reports.release("r1", until=first)
    assert state.reports.get("r1") == replace(report, progress=40, step="edges")
    assert not state.reports.claim("r1", now=second, until=extended), "its claim was extended"
    state.reports.release("r1", until=extended)
    assert state.reports.get("r1") == report
    assert state.reports.claim("r1", now=NOW, until=first) == 1, "neither is counted any more"
    done = replace(report, state="done", progress=100)
    state.reports.save(done)
    state.reports.release("r1", until=first)
    assert state.reports.get("r1") == done


def test_what_was_deleted_is_known_up_to_the_latest_moment(state: State) -> None:
    assert state.deletions.before("flows") is None
    for moment in (NOW, NOW + SECOND, NOW - SECOND):
        state.deletions.note(what="flows", before=moment)
    assert state.deletions.before("flows") == NOW + SECOND
    assert state.deletions.before("other") is None


def test_an_enforcement_is_replaced_by_workload(state: State) -> None:
    saved = Enforcement(
        workload="w1", host="h1", state=EnforcementState.PARTIAL, digest="d", since=NOW, verified=NOW, reason="v6",
        checks=(Check(name="v4", passed=True, detail=""), Check(name="v6", passed=False, detail="no table")),
        drifts=2, last_drift=NOW,
    )  # fmt: skip
    state.enforcements.save(replace(saved, state=EnforcementState.FAILED, checks=(), last_drift=None))
    state.enforcements.save(saved)
    assert state.enforcements.get("w1") == saved
    assert state.enforcements.get("w2") is None
    assert state.enforcements.list() == (saved,)


# Texts


@pytest.mark.parametrize("text", ["a\0b", "a\ud800b"], ids=["NUL", "half a character"])
def test_a_text_is_kept_whole_or_refused_with_a_sentence(state: State, text: str) -> None:
    def kept() -> bool:
        state.users.save(User(name=text, role=Role.VIEWER, password_hash="x"))
        user = state.users.get(text)
        return user is not None and user.name == text

    try:
        assert kept()
    except RingfenceError as error:
        assert "cannot hold this value" in str(error)
        assert not isinstance(error, StoreUnavailable), "asking again would not help"
        with pytest.raises(RingfenceError, match="cannot hold this value"):
            state.users.get(text)
        assert state.users.list() == ()


# Times


def test_a_time_in_another_zone_is_the_same_moment(state: State) -> None:
    elsewhere = NOW.astimezone(timezone(timedelta(hours=5, minutes=30)))
    applied = state.policies.apply(text="x", author="a", reason="", at=elsewhere)
    stored = state.policies.current().applied
    assert stored == applied.applied == NOW
    assert stored.utcoffset() == timedelta(0)
