"""Policy text to `PolicySet`: refused whole, with everything that is wrong listed at once."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from policy_engine.assertions import check_assertions, read_assertions
from policy_engine.document import Mapping, Node, Problems, Scalar, read_document
from policy_engine.reading import Reader, suggestion
from policy_engine.rules import Sets, read_rules, read_sets
from ringfence.errors import PolicyInvalid
from ringfence.model.policy import (
    Action,
    Group,
    Policy,
    PolicySet,
    ResponseAction,
    ResponseRule,
    Selector,
    Tier,
)
from ringfence.model.verdict import RESERVED_TIERS, Direction, Mode

KEYS = ("version", "default_mode", "sets", "groups", "tiers", "policies", "responses", "assert")
POLICY_KEYS = ("name", "tier", "owner", "description", "selector", "ingress", "egress")
RESPONSE_KEYS = (
    "name",
    "source",
    "destination",
    "count",
    "within",
    "action",
    "expires",
    "max_per_hour",
    "max_per_label",
    "protected",
    "dry_run",
)
MAX_TIERS = 32
MAX_PASSED_RULES = 1_000_000
"""Each `pass` rule repeats the later tiers for what it matches; this bounds the product."""

NOTHING = Selector(text="!all()")
"""Stands in for a selector that could not be read; the set it is in is refused."""


def parse_policy(text: str) -> PolicySet:
    """Read a native policy, check it and its assertions. Blank text is the empty policy.

    Raises:
        PolicyInvalid: `problems` holds everything that is wrong, with line and path.
    """
    problems = Problems()
    root = read_document(text, problems)
    if problems.found:
        # Duplicate keys are collected while reading: the rest is worth reporting with them, broken YAML is not.
        policies = _read(root, problems) if root is not None else PolicySet()
        raise PolicyInvalid(problems.found)
    if root is None or (isinstance(root, Scalar) and root.missing):
        return PolicySet()
    policies = _read(root, problems)
    if problems.found:
        raise PolicyInvalid(problems.found)
    return policies


def _read(root: Node, problems: Problems) -> PolicySet:
    reader = Reader(problems)
    top = reader.mapping(root, "policy", KEYS, ("version",))
    if "version" in top.entries:
        reader.integer(top.entries["version"].value, "version", 1, 1)
    sets = read_sets(reader, top)
    policies = PolicySet(
        tiers=_read_tiers(reader, top, sets),
        groups=tuple(_read_groups(reader, top)),
        responses=tuple(_read_responses(reader, top)),
        default_mode=reader.choice(top, "default_mode", "", Mode, Mode.DISCOVER),
    )
    for kind, names in (
        ("groups", [(item.name, item.line) for item in policies.groups]),
        ("responses", [(item.name, item.line) for item in policies.responses]),
    ):
        _check_unique(problems, kind, names)
    assertions = read_assertions(reader, top)
    if not problems.found:
        _check_passes(problems, policies)
        check_assertions(problems, policies, assertions)
    return policies


def _read_tiers(reader: Reader, top: Mapping, sets: Sets) -> tuple[Tier, ...]:
    tiers: dict[str, Tier] = {}
    names: list[tuple[str, int]] = []
    for path, node in reader.items(top, "tiers", ""):
        fields = reader.mapping(node, path, ("name", "default"), ("name",))
        name = reader.name(fields, path)
        default = reader.choice(fields, "default", path, Action, Action.DENY)
        if name in RESERVED_TIERS or name in set(Direction):
            reader.problems.add(node.line, f"{path}.name", f"`{name}` is a name of the product's own")
        names.append((name, node.line))
        tiers.setdefault(name, Tier(name=name, default=default, line=node.line))
    _check_unique(reader.problems, "tiers", names)
    if len(names) > MAX_TIERS:
        reader.problems.add(names[MAX_TIERS][1], "tiers", f"more than {MAX_TIERS} tiers")
    members: dict[str, list[Policy]] = {name: [] for name in tiers}
    policies = list(_read_policies(reader, top, sets, tiers))
    _check_unique(reader.problems, "policies", [(item.name, item.line) for item in policies])
    for policy in policies:
        members.setdefault(policy.tier, []).append(policy)
    return tuple(
        Tier(name=tier.name, default=tier.default, line=tier.line, policies=tuple(members[tier.name]))
        for tier in tiers.values()
    )


def _read_policies(reader: Reader, top: Mapping, sets: Sets, tiers: dict[str, Tier]) -> Iterator[Policy]:
    for path, node in reader.items(top, "policies", ""):
        fields = reader.mapping(node, path, POLICY_KEYS, ("name", "tier", "selector"))
        tier = reader.field_text(fields, "tier", path)
        if tier and tier not in tiers:
            line = fields.entries["tier"].line
            reader.problems.add(line, f"{path}.tier", f"tier `{tier[:80]}` is not declared{suggestion(tier, tiers)}")
        if isinstance(node, Mapping) and not {"ingress", "egress"} & set(fields.entries):
            reader.problems.add(node.line, path, "has neither `ingress` nor `egress` and so does nothing")
        yield Policy(
            name=reader.name(fields, path),
            tier=tier,
            selector=reader.selector(fields, "selector", path) or NOTHING,
            ingress=read_rules(reader, fields, Direction.INGRESS, path, sets),
            egress=read_rules(reader, fields, Direction.EGRESS, path, sets),
            owner=reader.field_text(fields, "owner", path),
            description=reader.field_text(fields, "description", path),
            line=node.line,
        )


def _read_groups(reader: Reader, top: Mapping) -> Iterator[Group]:
    for path, node in reader.items(top, "groups", ""):
        fields = reader.mapping(node, path, ("name", "selector", "mode"), ("name", "selector", "mode"))
        yield Group(
            name=reader.name(fields, path),
            selector=reader.selector(fields, "selector", path) or NOTHING,
            mode=reader.choice(fields, "mode", path, Mode, Mode.DISCOVER),
            line=node.line,
        )


def _read_responses(reader: Reader, top: Mapping) -> Iterator[ResponseRule]:
    for path, node in reader.items(top, "responses", ""):
        needed = ("name", "count", "within", "expires", "max_per_hour")
        fields = reader.mapping(node, path, RESPONSE_KEYS, needed)
        numbers = {
            key: reader.integer(fields.entries[key].value, f"{path}.{key}", 1, high) if key in fields.entries else 1
            for key, high in (("count", 1_000), ("max_per_hour", 1_000))
        }
        yield ResponseRule(
            name=reader.name(fields, path),
            source=reader.selector(fields, "source", path),
            destination=reader.selector(fields, "destination", path),
            count=numbers["count"],
            within=reader.duration(fields, "within", path, timedelta(seconds=1)),
            action=reader.choice(fields, "action", path, ResponseAction, ResponseAction.QUARANTINE),
            expires=reader.duration(fields, "expires", path, timedelta(hours=1)),
            max_per_hour=numbers["max_per_hour"],
            max_per_label=_read_label_caps(reader, fields, path),
            protected=reader.selector(fields, "protected", path),
            dry_run=reader.truth(fields, "dry_run", path, False),
            line=node.line,
        )


def _read_label_caps(reader: Reader, fields: Mapping, path: str) -> tuple[tuple[str, int], ...]:
    entry = fields.entries.get("max_per_label")
    if entry is None:
        return ()
    where = f"{path}.max_per_label"
    if not isinstance(entry.value, Mapping) or not entry.value.entries:
        reader.problems.add(entry.line, where, "expected labels with the most workloads of one value, as {role: 1}")
        return ()
    return tuple(
        (label, reader.integer(item.value, f"{where}.{label}", 1, 1_000)) for label, item in entry.value.entries.items()
    )


def _check_unique(problems: Problems, kind: str, names: list[tuple[str, int]]) -> None:
    first: dict[str, int] = {}
    for name, line in names:
        if name and name in first:
            problems.add(line, kind, f"the name `{name}` is taken in line {first[name]}")
        first.setdefault(name, line)


def _check_passes(problems: Problems, policies: PolicySet) -> None:
    for direction in Direction:
        length = 1
        for tier in reversed(policies.tiers):
            rules = [rule for policy in tier.policies for rule in policy.rules(direction) or ()]
            length = len(rules) + (1 + sum(rule.action is Action.PASS for rule in rules)) * length
        if length > MAX_PASSED_RULES:
            problems.add(1, "tiers", f"the pass rules for {direction} multiply to {length} rules")
