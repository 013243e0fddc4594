"""A host's figures are words with units, and what is empty is not shown."""

from __future__ import annotations

from web.figures import figures, sentences

FACTS = {
    "limits": ["web is not observed: gone"],
    "capturing": True,
    "events": 1668,
    "lost": {},
    "receive_buffer": 64 * 1024 * 1024,
    "lag_seconds": 0.262,
    "enforced_revision": None,
    "discarded": {"loopback": 3},
    "docker": [
        {"name": "a", "connected": True, "version": "20.10", "containers": 7, "error": ""},
        {"name": "b", "connected": False, "version": "", "containers": 0, "error": "no socket"},
    ],
}


def test_figures_have_units_and_empty_ones_are_left_out() -> None:
    shown = dict(figures(FACTS))
    assert shown["capturing"] == "yes"
    assert shown["events"] == "1,668"
    assert shown["receive buffer"] == "64 MiB"
    assert shown["discarded"] == "loopback 3"
    assert set(shown) == {"capturing", "events", "receive buffer", "lag", "discarded"}


def test_limits_and_engines_are_sentences() -> None:
    assert sentences(FACTS) == [
        "web is not observed: gone",
        "Docker engine a: version 20.10, 7 containers",
        "Docker engine b does not answer: no socket",
    ]
