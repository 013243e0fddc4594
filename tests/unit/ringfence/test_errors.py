from __future__ import annotations

import inspect

import pytest

from ringfence import errors
from ringfence.errors import FilterInvalid, PolicyInvalid, RingfenceError, StoreLocked
from ringfence.model.policy import Problem


def test_every_error_can_be_caught_as_one_of_ours() -> None:
    named = [item for _, item in inspect.getmembers(errors, inspect.isclass) if item.__module__ == errors.__name__]
    assert all(issubclass(item, RingfenceError) for item in named)
    assert all(item.__doc__ for item in named)


def test_an_error_says_what_to_do_about_it() -> None:
    assert StoreLocked("in use", hint="stop it").hint == "stop it"
    assert StoreLocked("in use").hint == ""


@pytest.mark.parametrize(("count", "text"), [(1, "the policy has 1 problem"), (2, "the policy has 2 problems")])
def test_a_refused_policy_lists_its_problems_by_line(count: int, text: str) -> None:
    problems = [Problem(line=9 - number, path="tiers", message="x") for number in range(count)]
    error = PolicyInvalid(problems)
    assert str(error) == text
    assert [problem.line for problem in error.problems] == sorted(problem.line for problem in problems)


def test_a_filter_error_points_at_a_character() -> None:
    error = FilterInvalid("no", offset=4, expected=["and", "or"])
    assert (error.offset, error.expected) == (4, ("and", "or"))
