"""Orders that are sent twice."""

from __future__ import annotations

import threading

import pytest

from ringfence.errors import Conflict
from web.idempotency import Answers


def test_the_second_request_finds_the_first_answer() -> None:
    answers: Answers[str] = Answers(limit=10)
    with answers.once("key", {"a": 1}) as slot:
        slot.value = "done"
    with answers.once("key", {"a": 1}) as slot:
        assert slot.value == "done"


def test_another_body_under_the_same_key_is_a_conflict() -> None:
    answers: Answers[str] = Answers(limit=10)
    with answers.once("key", {"a": 1}) as slot:
        slot.value = "done"
    with pytest.raises(Conflict), answers.once("key", {"a": 2}):
        pass


def test_a_request_that_failed_leaves_the_key_free() -> None:
    answers: Answers[str] = Answers(limit=10)
    with pytest.raises(RuntimeError), answers.once("key", {"a": 1}):
        raise RuntimeError
    with answers.once("key", {"a": 2}) as slot:
        assert slot.value is None


def test_requests_at_once_are_carried_out_once() -> None:
    answers: Answers[int] = Answers(limit=10)
    done: list[int] = []

    def order() -> None:
        with answers.once("key", {}) as slot:
            if slot.value is None:
                done.append(1)
                slot.value = 1

    threads = [threading.Thread(target=order) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert done == [1]


def test_the_oldest_answers_are_forgotten() -> None:
    answers: Answers[str] = Answers(limit=1)
    for key in ("a", "b"):
        with answers.once(key, {}) as slot:
            slot.value = key
    with answers.once("a", {}) as slot:
        assert slot.value is None
