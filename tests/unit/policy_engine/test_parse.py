from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy_engine.assertions import KEYS as ASSERTION_KEYS
from policy_engine.parse import KEYS, POLICY_KEYS, RESPONSE_KEYS, parse_policy
from policy_engine.rules import PEER_KEYS
from policy_engine.services import SERVICE_KEYS
from ringfence.errors import PolicyInvalid
from ringfence.model.policy import Action, PolicySet, ResponseAction, Selector
from ringfence.model.verdict import Mode

DOCS = Path("docs/policy.md")

GOOD = """\
version: 1
default_mode: monitor
sets: {office: [10.1.0.0/16, 2001:db8::/32]}
groups:
  - {name: databases, selector: "role == 'db'", mode: protect}
tiers:
  - {name: platform, default: pass}
  - {name: application}
policies:
  - name: db-only-5432
    tier: application
    owner: shop-team
    selector: "role == 'db'"
    ingress:
      - {action: allow, from: {selector: "role == 'api'"}, protocol: tcp, ports: [5432]}
    egress: []
  - {name: first, tier: platform, selector: all(), egress: [{action: pass}]}
responses:
  - name: contain-scanners
    destination: "role == 'db'"
    count: 5
    within: 10s
    expires: 1h
    max_per_hour: 3
    protected: "role == 'db'"
    dry_run: true
"""


def problems_of(text: str) -> list[str]:
    with pytest.raises(PolicyInvalid) as caught:
        parse_policy(text)
    return [str(item) for item in caught.value.problems]


def test_a_policy_is_read_into_tiers_groups_and_responses() -> None:
    policies = parse_policy(GOOD)
    assert [(tier.name, tier.default, [policy.name for policy in tier.policies]) for tier in policies.tiers] == [
        ("platform", Action.PASS, ["first"]),
        ("application", Action.DENY, ["db-only-5432"]),
    ]
    assert policies.default_mode is Mode.MONITOR
    assert policies.groups[0].mode is Mode.PROTECT
    policy = policies.tiers[1].policies[0]
    assert (policy.owner, policy.egress, policy.line) == ("shop-team", (), 10)
    response = policies.responses[0]
    assert (response.count, response.within.total_seconds(), response.expires.total_seconds()) == (5, 10, 3600)
    assert (response.action, response.dry_run) == (ResponseAction.QUARANTINE, True)
    assert response.protected == Selector(text="role == 'db'")


@pytest.mark.parametrize("text", ["", "  \n", "# only a comment\n", "null"])
def test_blank_text_is_the_empty_policy(text: str) -> None:
    assert parse_policy(text) == PolicySet()


def test_everything_wrong_is_reported_at_once_in_order_of_line() -> None:
    text = (
        GOOD.replace("version: 1", "version: 2")
        .replace("mode: protect", "mode: protected")
        .replace("tier: application\n    owner", "tier: aplication\n    onwer")
        .replace("role == 'api'", "role = 'api'")
        .replace("ports: [5432]", 'ports: [70000, "9-8"]')
        .replace("within: 10s", "within: 10")
        .replace("name: first", "name: db-only-5432")
    )
    assert problems_of(text) == [
        "line 1: version: 2 is not between 1 and 1",
        "line 5: groups[0].mode: `protected` is none of discover, monitor, protect",
        "line 11: policies[0].tier: tier `aplication` is not declared; did you mean `application`?",
        "line 12: policies[0].onwer: unknown key `onwer`; did you mean `owner`?",
        "line 15: policies[0].ingress[0].from.selector: selector \"role = 'api'\": `=` at character 6: expected "
        "`!=`, `==`, `contains`, `ends with`, `in`, `not in`, `starts with`",
        "line 15: policies[0].ingress[0].ports[0]: `70000` is no port range within 0-65535",
        "line 15: policies[0].ingress[0].ports[1]: `9-8` is no port range within 0-65535",
        "line 17: policies: the name `db-only-5432` is taken in line 10",
        "line 22: responses[0].within: `10` is no time such as 500ms, 10s, 5m, 1h or 7d",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[]", "line 1: policy: expected keys and values"),
        ("{}", "line 1: policy: `version` is missing"),
        ("version: 1\npolices: []", "line 2: policy.polices: unknown key `polices`; did you mean `policies`?"),
        ("version: 1\nversion: 1", "line 2: version: `version` stands here a second time, first in line 1"),
        ("version: 1\ntiers: [{name: a}, {name: a}]", "line 2: tiers: the name `a` is taken in line 2"),
        (
            "version: 1\ntiers: [{name: a, default: log}]",
            "line 2: tiers[0].default: `log` is none of allow, deny, reject, pass",
        ),
        (
            "version: 1\ntiers: [{name: a}]\npolicies: [{name: p, tier: a, selector: all(), ingress: [{action: log}]}]",
            "line 3: policies[0].ingress[0].action: `log` is none of allow, deny, reject, pass",
        ),
        ("version: 1\ntiers: [{name: quarantine}]", "line 2: tiers[0].name: `quarantine` is a name of the product's"),
        ("version: 1\ntiers: [{name: ingress}]", "line 2: tiers[0].name: `ingress` is a name of the product's own"),
        (
            "version: 1\ntiers: [{name: t}]\npolicies: [{name: p, tier: t, selector: all()}]",
            "line 3: policies[0]: has neither `ingress` nor `egress`",
        ),
        (
            "version: 1\npolicies: [{name: p, tier: t, selector: all(), egress: []}]",
            "line 2: policies[0].tier: tier `t`",
        ),
        ("version: 1\ntiers: [{name: t}]\npolicies: [{name: p, tier: t, egress: []}]", "`selector` is missing"),
        ("version: 1\ngroups: [{name: g, mode: protect}]", "line 2: groups[0]: `selector` is missing"),
        ("version: 1\nresponses: [{name: r}]", "`count` is missing"),
        (
            "version: 1\ngroups: [" + ", ".join(["{name: g, selector: all(), mode: protect}"] * 2) + "]",
            "the name `g` is taken",
        ),
        ("version: 1\ntiers: [" + ", ".join(f"{{name: t{n}}}" for n in range(40)) + "]", "more than 32 tiers"),
    ],
)
def test_a_refusal_names_line_and_place(text: str, expected: str) -> None:
    assert any(expected in item for item in problems_of(text)), problems_of(text)


def test_a_broken_assertion_refuses_the_policy_and_says_what_is_decided_instead() -> None:
    text = GOOD + "assert:\n  - {from: {role: web}, to: {role: db}, protocol: tcp, port: 5432, expect: allowed}\n"
    assert problems_of(text) == [
        "line 28: assert[0]: expected allowed, but {role=web} may not reach {role=db} on tcp/5432: "
        "denied by the default of tier application, which selects {role=db} for ingress"
    ]


def test_pass_rules_that_multiply_beyond_reason_are_refused() -> None:
    rules = ", ".join(f"{{action: pass, from: {{networks: [10.0.{n}.0/24]}}}}" for n in range(60))
    tiers = "".join(f"  - {{name: t{n}}}\n" for n in range(5))
    policies = "".join(f"  - {{name: p{n}, tier: t{n}, selector: all(), ingress: [{rules}]}}\n" for n in range(5))
    assert "pass rules for ingress multiply" in problems_of(f"version: 1\ntiers:\n{tiers}policies:\n{policies}")[0]


def test_a_duplicate_key_is_reported_together_with_what_else_is_wrong() -> None:
    found = problems_of("version: 1\nversion: 1\nfoo: 2\n")
    assert len(found) == 2


def test_every_yaml_block_of_the_documentation_is_a_valid_policy() -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) >= 3
    for block in blocks:
        parse_policy(block)


def test_the_documentation_names_every_key() -> None:
    text = DOCS.read_text(encoding="utf-8")
    for key in {*KEYS, *POLICY_KEYS, *RESPONSE_KEYS, *PEER_KEYS, *SERVICE_KEYS, *ASSERTION_KEYS}:
        assert f"`{key}`" in text or re.search(rf"\b{key}:", text), key


@given(st.data())
def test_a_damaged_policy_is_read_or_refused_with_lines(data: st.DataObject) -> None:
    text = GOOD
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(text) - 1))
        text = text[:at] + data.draw(st.text(max_size=3)) + text[at + data.draw(st.integers(0, 8)) :]
    try:
        parse_policy(text)
    except PolicyInvalid as error:
        assert error.problems
        assert all(item.line >= 1 and item.message for item in error.problems)
