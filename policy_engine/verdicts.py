"""The fast evaluator for single connections: the same verdicts as `evaluate`, from masks."""

from __future__ import annotations

from policy_engine.bitmap import NOBODY, Bitmap
from policy_engine.endpoint import Endpoint, Request
from policy_engine.evaluate import FINAL, Decision, combine
from policy_engine.sentence import explain
from ringfence.model.policy import Action, PolicySet
from ringfence.model.verdict import Basis, Direction, RuleRef, Verdict


class Verdicts:
    """Both directions of a policy set, prepared once."""

    def __init__(self, policies: PolicySet) -> None:
        self._bitmaps = {direction: Bitmap(policies, direction) for direction in Direction}

    def decide(self, source: Endpoint, destination: Endpoint, request: Request) -> Decision:
        """The verdict when both ends see the same addresses and port: no translation lies between them."""
        egress = self.direction(Direction.EGRESS, source, destination, request)
        ingress = self.direction(Direction.INGRESS, source, destination, request)
        return Decision(egress=egress, ingress=ingress, connection=combine(egress, ingress))

    def direction(self, direction: Direction, source: Endpoint, destination: Endpoint, request: Request) -> Verdict:
        """The verdict of one end's policies."""
        bitmap = self._bitmaps[direction]
        subject, peer = (destination, source) if direction is Direction.INGRESS else (source, destination)
        mask = bitmap.subject(subject)
        found = bitmap.decide(mask, bitmap.peer(peer), bitmap.service(request)) if mask else NOBODY
        ref, action = RuleRef(tier="", policy="", direction=direction, index=-1), Action.ALLOW
        if found != NOBODY:
            ref, action = bitmap.refs[found], bitmap.actions[found]
        outcome = FINAL[action]
        sentence = explain(
            source=source.name,
            destination=destination.name,
            request=str(request),
            outcome=outcome,
            rule=ref,
            selected=mask != 0,
        )
        basis = Basis.EXPLICIT if ref.index >= 0 else Basis.DEFAULT
        return Verdict(outcome=outcome, basis=basis, rule=ref, sentence=sentence)

    def selected(self, direction: Direction, end: Endpoint) -> bool:
        """Whether any policy with a list for this direction selects this end."""
        return self._bitmaps[direction].subject(end) != 0
