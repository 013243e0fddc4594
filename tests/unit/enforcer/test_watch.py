"""Watching without a namespace; notifications and fingerprints are tried in tests/functional/test_drift.py."""

from __future__ import annotations

import threading

from enforcer.netns import Netns
from enforcer.watch import NetlinkWatch


def test_a_wake_up_ends_the_wait() -> None:
    watch = NetlinkWatch(legacy=False, poll_seconds=60.0)
    threading.Timer(0.05, watch.wake).start()
    assert watch.wait([], 60.0) == {}
    watch.close()


def test_a_namespace_that_cannot_be_entered_is_left_out() -> None:
    watch = NetlinkWatch(legacy=False, poll_seconds=0.01)
    assert watch.wait([Netns(inode=1, path="/nowhere")], 0.0) == {}
    watch.close()
