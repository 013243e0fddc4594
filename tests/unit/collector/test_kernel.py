"""What was read waits in order until the tick takes it."""

from __future__ import annotations

import numpy as np

from collector.columns import CONNTRACK, DENIED
from collector.kernel import Intake
from ringfence.model.ruleset import PROBE_MARK
from tests.support.tracked import API, WEB, leg, refused


def test_an_empty_intake_is_two_empty_tables() -> None:
    conntrack, denied = Intake().merged()
    assert (conntrack.dtype, len(conntrack), denied.dtype, len(denied)) == (CONNTRACK, 0, DENIED, 0)


def test_records_keep_their_order() -> None:
    intake = Intake()
    for number in range(5):
        intake.conntrack.append(
            np.concatenate([leg(WEB, "10.0.0.1:1>10.0.0.2:2", id_=2 * number + part) for part in (0, 1)])
        )
    intake.denied.append(refused(API, "10.0.0.1:1>10.0.0.2:2", rule_number=20, ingress=True))
    conntrack, denied = intake.merged()
    assert conntrack["id"].tolist() == list(range(10))
    assert denied["rule"].tolist() == [20]


def test_the_enforcers_own_probes_are_left_out() -> None:
    intake = Intake()
    attempt = refused(API, "10.0.0.1:1>10.0.0.2:2", rule_number=20, ingress=True)
    probe = attempt.copy()
    probe["mark"] = PROBE_MARK
    intake.denied += [attempt, probe]
    assert intake.merged()[1]["mark"].tolist() == [0]
