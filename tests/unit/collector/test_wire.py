"""Wire tuples are hashed and compared as columns."""

from __future__ import annotations

import numpy as np

from collector import wire
from tests.support.tracked import leg

DIRECT, NATTED = "10.0.0.1:1000>10.0.0.2:80", "192.0.2.1:5000>10.0.0.3:8080"


def test_what_went_out_is_the_reply_turned_round() -> None:
    record = leg(1, DIRECT, NATTED)
    assert (wire.translated(record) == wire.original(leg(1, NATTED))).all()
    assert (wire.original(record) == wire.original(leg(1, DIRECT))).all()


def test_turning_round_twice_changes_nothing() -> None:
    words = wire.original(np.concatenate([leg(1, DIRECT), leg(1, "[fd00::1]:1>[fd00::2]:2")]))
    turned = wire.reversed_words(words)
    assert (turned != words).any(axis=1).all()
    assert (wire.reversed_words(turned) == words).all()


def test_equal_tuples_have_equal_hashes_and_others_differ() -> None:
    tuples = [f"10.0.{number // 250}.{number % 250}:{number}>10.9.9.9:80" for number in range(2000)]
    words = wire.original(np.concatenate([leg(1, text) for text in tuples]))
    hashes = wire.hash_words(words)
    assert (wire.hash_words(words.copy()) == hashes).all()
    assert len(np.unique(hashes)) == len(tuples)
    assert (wire.hash_words(words, np.ones(len(words))) != hashes).all()


def test_words_and_records_are_the_same_bytes() -> None:
    words = wire.original(leg(1, DIRECT))
    assert (wire.words_of(wire.records_of(words)) == words).all()
    assert int(wire.records_of(words)["dst_port"][0]) == 80
