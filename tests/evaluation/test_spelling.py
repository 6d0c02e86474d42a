"""What counts as the same word when transcripts are compared."""

import pytest

from engines.evaluation.spelling import in_one_spelling


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Two litres in millilitres", "two liters in milliliters"),
        ("how many kilometres is a metre", "how many kilometers is a meter"),
        ("movies at the Odeon Theatres", "movies at the odeon theaters"),
        ("my favourite neighbour's colours", "my favorite neighbor's colors"),
        ("realise and apologise", "realize and apologize"),
        ("cancelled while travelling", "canceled while traveling"),
        ("wake me at 7 a.m.", "wake me at seven am"),
        ("milk on my to-do list", "milk on my todo list"),
        ("the grey tyre programme", "the gray tire program"),
    ],
)
def test_what_is_said_alike_and_means_the_same_is_spelled_one_way(one: str, other: str):
    assert in_one_spelling(one) == in_one_spelling(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("two tons", "two tonnes"),
        ("for your four tours", "for yor for tors"),
        ("there are tigers", "their are tigers"),
        ("what to do", "what todo"),
        ("rise and fall", "rize and fall"),
        ("i am home", "i a home"),
        ("our hour", "or hour"),
        ("the realist", "the realizt"),
    ],
)
def test_other_words_stay_apart(one: str, other: str):
    assert in_one_spelling(one) != in_one_spelling(other)


def test_words_whose_endings_only_look_alike_are_left_as_they_are():
    for word in ("are", "acre", "fire", "more", "pour", "hour", "four", "raise", "filled", "fence"):
        assert in_one_spelling(word) == word
