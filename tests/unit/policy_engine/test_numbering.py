"""What gets a number, and by what it is known."""

from __future__ import annotations

from policy_engine.numbering import numbered
from policy_engine.parse import parse_policy

TEXT = """\
version: 1
tiers: [{name: first, default: pass}, {name: second}]
policies:
  - name: db
    tier: second
    selector: "role == 'db'"
    ingress:
      - {action: allow, from: {selector: "role == 'api'"}, protocol: tcp, ports: [5432]}
      - {action: pass}
      - {action: deny}
"""


def listed(text: str) -> dict[str, str]:
    return {str(ref): digest for ref, digest in numbered(parse_policy(text))}


def test_every_rule_and_default_that_decides_is_listed() -> None:
    assert list(listed(TEXT)) == [
        "second/ingress/default",
        "second/db/ingress/0",
        "second/db/ingress/2",
        "second/egress/default",
    ]


def test_a_rule_is_known_by_what_it_does_and_not_by_its_name_line_or_place() -> None:
    before = listed(TEXT)
    moved = listed(TEXT.replace("    ingress:\n", "    ingress:\n      - {action: allow, protocol: icmp}\n\n"))
    named = listed(TEXT.replace("{action: deny}", "{action: deny, name: the rest}"))
    other = listed(TEXT.replace("[5432]", "[5433]"))
    assert before == named
    assert before["second/db/ingress/0"] == moved["second/db/ingress/1"]
    assert before["second/db/ingress/0"] != other["second/db/ingress/0"]
    assert before["second/db/ingress/2"] == other["second/db/ingress/2"]


def test_the_same_rule_twice_is_two() -> None:
    twice = numbered(parse_policy(TEXT.replace("- {action: deny}", "- {action: deny}\n      - {action: deny}")))
    assert len({(ref.tier, ref.policy, ref.direction, digest) for ref, digest in twice}) == len(twice) == 5
