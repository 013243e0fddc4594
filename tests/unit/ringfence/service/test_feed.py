"""The live feed: order, resume, and never a wait for a slow watcher."""

import threading

from ringfence.service.feed import Feed


def test_a_watcher_gets_what_came_after_the_number_it_has() -> None:
    feed = Feed()
    for number in range(3):
        feed.publish("flows", {"n": number})
    assert [message.body["n"] for message in feed.after(1, 0)] == [1, 2]


def test_nothing_new_is_an_empty_answer_after_the_timeout() -> None:
    feed = Feed()
    feed.publish("gap", {})
    assert feed.after(feed.last(), 0.01) == ()


def test_history_is_bounded_and_keeps_the_newest() -> None:
    feed = Feed(history=2)
    for number in range(5):
        feed.publish("flows", {"n": number})
    assert [message.body["n"] for message in feed.after(0, 0)] == [3, 4]


def test_a_waiting_watcher_is_woken_by_a_message() -> None:
    feed = Feed()
    got: list[int] = []
    thread = threading.Thread(target=lambda: got.extend(message.number for message in feed.after(0, 10)))
    thread.start()
    feed.publish("finding", {})
    thread.join(10)
    assert got == [1]


def test_rows_are_wanted_only_while_someone_watches() -> None:
    feed = Feed()
    assert not feed.watched
    with feed.watching():
        assert feed.watched
    assert not feed.watched


def test_closing_lets_waiting_watchers_go() -> None:
    feed = Feed()
    done = threading.Event()

    def watch() -> None:
        feed.after(0, 60)
        done.set()

    threading.Thread(target=watch, daemon=True).start()
    feed.close()
    assert done.wait(10)
    assert feed.closed
