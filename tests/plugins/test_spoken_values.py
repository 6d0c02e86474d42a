"""What is listened for in a slot can all be read, and nothing that people say is missing."""

import itertools
import re
from datetime import time, timedelta
from typing import Annotated

import pytest

from assistant import spoken, spoken_values
from assistant.nodes import Choice, Series, Text
from assistant.slots import Choices, Range, slot_type


def phrases(node):
    """Everything that a part says."""
    match node:
        case Text(text):
            yield text
        case Choice(options):
            yield from itertools.chain.from_iterable(map(phrases, options))
        case Series(parts):
            for said in itertools.product(*map(list, map(phrases, parts))):
                yield " ".join(filter(None, said))


def read(node, pattern, parse):
    """The values of everything that it says; each has to be as `normalise` writes it."""
    values = {}
    for words in phrases(node):
        assert spoken.normalise(words) == words
        key = spoken.key(words)
        assert re.fullmatch(pattern, key), words
        values[words] = parse(key)
    return values


def test_every_minute_of_the_day_is_listened_for():
    values = read(spoken_values.times(), spoken.TIME, spoken.parse_time)
    assert len(set(values.values())) == 1440
    assert values["twenty past seven in the evening"] == time(19, 20)
    assert values["a quarter to nine"] == time(8, 45)
    assert values["sixteen forty five"] == time(16, 45)
    assert values["five past eleven"] == time(11, 5)


def test_lengths_of_time_are_listened_for_in_all_their_wordings():
    values = read(spoken_values.durations(), spoken.DURATION, spoken.parse_duration)
    lengths = set(values.values())
    assert lengths.issuperset(timedelta(minutes=minutes) for minutes in range(1, 1440))
    assert lengths.issuperset(timedelta(seconds=seconds) for seconds in range(1, 3600))
    assert values["two and a half minutes"] == timedelta(seconds=150)
    assert values["three quarters of an hour"] == timedelta(minutes=45)
    assert values["an hour and twenty minutes"] == timedelta(minutes=80)


def test_numbers_are_listened_for_within_their_bounds():
    values = read(spoken_values.numbers(-3, 350), spoken.INTEGER, spoken.parse_integer)
    assert set(values.values()) == {*range(-3, 351)}
    for words in ("one oh five", "a hundred and five", "one hundred five"):
        assert values[words] == 105
    assert values["three fifty"] == 350
    assert values["minus two"] == -2


def test_fractions_are_listened_for_within_their_bounds():
    values = read(spoken_values.decimals(-2, 30), spoken.DECIMAL, spoken.parse_decimal)
    tenths = {number / 10 for number in (*range(-20, -9), *range(301))}
    assert tenths <= set(values.values())
    assert -2 <= min(values.values()) < max(values.values()) <= 30
    assert values["twenty one and a half"] == 21.5


@pytest.mark.parametrize(
    ("words", "number"), [("three fifty", 350), ("one oh five", 105), ("two twenty four", 224)]
)
def test_hundreds_need_not_be_named(words, number):
    assert re.fullmatch(spoken.NUMBER, words)
    assert spoken.parse_number(words) == number


@pytest.mark.parametrize(
    ("text", "ways"),
    [
        (
            "Blink-182",
            {"blink one hundred eighty two", "blink one eighty two", "blink one eight two"},
        ),
        ("1984", {"nineteen eighty four", "one thousand nine hundred eighty four"}),
        ("route 007", {"route seven", "route zero zero seven"}),
        ("version 2.5", {"version two point five"}),
        ("U2", {"u two"}),
        ("jazz", {"jazz"}),
    ],
)
def test_a_name_with_digits_is_said_in_several_ways(text, ways):
    said = spoken_values.wordings(text)
    assert said[0] == spoken.normalise(text)
    assert ways <= set(said)


def test_a_choice_with_digits_is_read_however_it_is_said():
    kind = slot_type(Annotated[str, Choices(["Blink-182", "jazz"])], None)
    assert kind.values == ("blink one hundred eighty two", "jazz")
    for words in ("blink one eighty two", "blink one hundred and eighty two"):
        assert re.fullmatch(kind.pattern, words)
        assert kind.parse(words) == "Blink-182"
        assert words in set(phrases(kind.heard))


def test_other_wordings_of_a_choice_take_nothing_from_the_others():
    kind = slot_type(Annotated[str, Choices(["105", "one oh five"])], None)
    assert kind.parse("one oh five") == "one oh five"
    assert kind.parse("one hundred and five") == "105"


def test_negative_bounds_can_be_said():
    kind = slot_type(Annotated[int, Range(-10, 10)], None)
    assert re.fullmatch(kind.pattern, "minus five")
    assert kind.parse("minus five") == -5
    with pytest.raises(ValueError, match="not between"):
        kind.parse("minus eleven")
