"""An id is news once, and what keeps coming stays known in bounded memory."""

from ringfence.service.told import Told


def test_an_id_is_news_once() -> None:
    told = Told()
    assert [told.news(name) for name in ("a", "b", "a", "b", "c")] == [True, True, False, False, True]


def test_what_keeps_coming_is_not_forgotten_however_much_comes_once() -> None:
    told = Told(remembered=2)
    assert told.news("lasting")
    for number in range(10):
        assert told.news(f"short {number}")
        assert not told.news("lasting")


def test_what_has_not_come_for_long_is_forgotten() -> None:
    told = Told(remembered=2)
    assert [told.news(name) for name in ("a", "b", "c", "a")] == [True] * 4
