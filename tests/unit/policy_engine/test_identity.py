from __future__ import annotations

from policy_engine.identity import ID_BITS, identity_of, labels_of


def test_equal_label_sets_are_one_identity_in_any_order() -> None:
    assert identity_of({"a": "1", "b": "2"}) == identity_of({"b": "2", "a": "1"})
    assert identity_of({"a": "1"}).id != identity_of({"a": "2"}).id


def test_a_number_is_the_same_tomorrow_and_exact_as_a_double() -> None:
    assert identity_of({}).id == 813150986447921
    numbers = {identity_of({"n": str(number)}).id for number in range(2000)}
    assert len(numbers) == 2000
    assert max(numbers) < 1 << ID_BITS


def test_separators_in_labels_do_not_confuse() -> None:
    assert identity_of({"a": "b,c"}) != identity_of({"a": "b", "c": ""})


def test_labels_come_from_texts_with_the_first_equals_sign() -> None:
    assert labels_of(["a=b=c", "d=", "e"]) == {"a": "b=c", "d": "", "e": ""}
    assert labels_of(None) == {}
