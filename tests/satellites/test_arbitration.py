"""Which satellite answers, by the rules alone."""

import pytest

from assistant.satellites.arbitration import Arbiter, Claim

WINDOW_S = 0.15


@pytest.mark.parametrize(
    ("own", "other", "given_way"),
    [
        ((-30.0, 1.0), (-20.0, 1.1), True),
        ((-30.0, 1.0), (-20.0, 0.9), True),
        ((-20.0, 1.0), (-30.0, 1.1), False),
        ((-30.0, 1.0), (-20.0, 1.16), False),
        ((-30.0, 1.0), (-20.0, 0.84), False),
    ],
)
def test_the_louder_one_within_the_window_wins(
    own: tuple[float, float], other: tuple[float, float], given_way: bool
):
    arbiter, theirs = Arbiter(WINDOW_S), Claim("hall", *other)
    mine = Claim("kitchen", *own)
    if theirs.at < mine.at:
        assert arbiter.hear(theirs) is None
        assert arbiter.claim(mine) is (theirs if given_way else None)
    else:
        assert arbiter.claim(mine) is None
        assert arbiter.hear(theirs) is (theirs if given_way else None)


def test_of_equals_exactly_one_wins():
    hall, kitchen = Claim("hall", -20.0, 1.0), Claim("kitchen", -20.0, 1.0)
    assert hall.beats(kitchen) != kitchen.beats(hall)


def test_exactly_one_of_many_wins_whatever_the_order():
    claims = [Claim(f"room-{n}", level, 1.0) for n, level in enumerate([-30.0, -20, -20, -45])]
    winners = []
    for mine in claims:
        arbiter = Arbiter(WINDOW_S)
        lost = arbiter.claim(mine) is not None
        lost |= any(arbiter.hear(other) for other in claims if other is not mine)
        winners += [] if lost else [mine.site]
    assert winners == ["room-1"]


def test_where_a_question_waits_for_its_answer_everybody_else_gives_way():
    asked, louder = Claim("kitchen", -40.0, 1.0, answers=True), Claim("hall", -10.0, 1.0)
    assert asked.beats(louder)
    assert not louder.beats(asked)


def test_what_is_over_is_not_given_way():
    arbiter = Arbiter(WINDOW_S)
    arbiter.claim(Claim("kitchen", -30.0, 1.0))
    arbiter.settle()
    assert arbiter.hear(Claim("hall", -20.0, 1.05)) is None


def test_a_window_of_nothing_lets_everybody_answer():
    arbiter = Arbiter(0.0)
    arbiter.claim(Claim("kitchen", -30.0, 1.0))
    assert arbiter.hear(Claim("hall", -20.0, 1.0)) is None


def test_a_flood_of_claims_is_forgotten():
    arbiter = Arbiter(WINDOW_S)
    for number in range(10_000):
        arbiter.hear(Claim(f"x{number}", 0.0, 0.0))
    assert len(arbiter._others) == 16
