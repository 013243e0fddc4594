"""The whole story of one flow: both ends, translation, every verdict with its policy line, figures and times."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from ringfence.store.state import State
from web.cells import total_bytes
from web.explanation import PLACES, Explanation, explain_flow, judging_of, lines_of
from web.verdicts import Shown, shown

LEGS = {
    "src": "seen in the source's namespace",
    "dst": "seen in the destination's namespace",
    "host": "seen in the host's own namespace",
}
METHODS = {
    "netns": "by its network namespace: certain",
    "interval": "by address and time",
    "nat": "through address translation",
    "static": "from configuration",
    "unknown": "not identified",
}
ENDINGS = {
    "closed": "closed by its ends",
    "denied": "never came about",
    "lost": "ended while nobody watched",
    "imported": "read from a capture",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """One end: `translated` is its address after NAT, empty without one."""

    side: str
    word: str
    workload: str
    name: str
    kind: str
    address: str
    translated: str
    labels: tuple[str, ...]
    how: str
    packets: int | None
    bytes: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What was, or would be, done: by which rule, and why; `line` is the rule's line in that revision."""

    where: str
    outcome: str
    rule: str
    sentence: str
    line: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    row: Mapping[str, Any]
    shown: Shown
    ends: tuple[End, End]
    decisions: tuple[Decision, ...]
    explanation: Explanation
    legs: tuple[str, ...]
    duration: timedelta | None
    total: int | None
    ending: str

    @property
    def translated(self) -> bool:
        return any(end.translated for end in self.ends)


def story_of(state: State, row: Mapping[str, Any]) -> Story:
    """Tell a flow; the policy lines come from the revision it was judged by."""
    judging = judging_of(state, row)
    explanation = explain_flow(state, row, judging)
    lines = lines_of(judging.policies) if judging.policies is not None else {}
    return Story(
        row=row,
        shown=shown(row),
        ends=(_end(row, "src", "source"), _end(row, "dst", "destination")),
        decisions=_decisions(row, explanation, lines),
        explanation=explanation,
        legs=tuple(LEGS.get(leg, leg) for leg in str(row["reporter"]).split("+")),
        duration=row["ended"] - row["started"] if row["ended"] else None,
        total=total_bytes(row),
        ending=ENDINGS.get(row["end_reason"] or "", row["end_reason"] or ""),
    )


def _end(row: Mapping[str, Any], side: str, word: str) -> End:
    return End(
        side=side,
        word=word,
        workload=row[f"{side}_workload"] or "",
        name=row[f"{side}_name"] or "",
        kind=row[f"{side}_kind"] or "",
        address=_address(row[f"{side}_ip"], row[f"{side}_port"]),
        translated=_address(row[f"nat_{side}_ip"], row[f"nat_{side}_port"]) if row[f"nat_{side}_ip"] else "",
        labels=tuple(row[f"{side}_labels"] or ()),
        how=METHODS.get(row[f"{side}_method"], row[f"{side}_method"]),
        packets=row[f"{side}_packets"],
        bytes=row[f"{side}_bytes"],
    )


def _address(address: Any, port: int | None) -> str:
    text = f"[{address}]" if ":" in str(address) and port is not None else str(address)
    return text if port is None else f"{text}:{port}"


def _decisions(row: Mapping[str, Any], explanation: Explanation, lines: Mapping[str, int]) -> tuple[Decision, ...]:
    """What the kernel named at an end stands in the explanation; here where that says nothing of the end."""
    told = {way.direction for way in explanation.ways if way.judged}
    steps = [
        *(
            (f"the kernel {place}", "", rule, "")
            for direction, place in PLACES.items()
            if direction.value not in told and (rule := row[f"{direction.value}_rule"])
        ),
        ("enforced by the kernel", row["enforced"] or "not known", row["rule"], row["sentence"] or ""),
        (
            "if everything were in protect",
            row["staged"] or "not judged",
            row["staged_rule"],
            row["staged_sentence"] or "",
        ),
    ]
    return tuple(
        Decision(where=where, outcome=outcome, rule=rule or "", sentence=sentence, line=lines.get(rule or ""))
        for where, outcome, rule, sentence in steps
    )
