import re
from datetime import time, timedelta

import pytest

from assistant import spoken


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("Set a timer for 5 minutes, please!", "set a timer for five minutes please"),
        (
            "What\u2019s 30% of 1,250.5?",
            "what's thirty percent of one thousand two hundred fifty point five",
        ),
        ("at 3:10 p.m.", "at three ten pm"),
        ("'Hello' o'clock", "hello o'clock"),
        ("9 - 4", "nine minus four"),
        ("What is 12/4?", "what is twelve divided by four"),
        ("-5+3", "minus five plus three"),
        ("2.5 \u00d7 \u22122", "two point five times minus two"),
        ("6x7 \u00f7 2 / 3", "six times seven divided by two divided by three"),
        (
            "20-22 on 1/2/2026, 1/2 cup",
            "twenty twenty two on one two two thousand twenty six one two cup",
        ),
        ("Blink-182 - twenty-one, x 5 + c", "blink one hundred eighty two twenty one x five c"),
        ("", ""),
    ],
)
def test_typed_text_becomes_spoken_words(typed, words):
    assert spoken.normalise(typed) == words


def test_every_number_that_is_said_is_read_back():
    for number in (*range(2500), 10_000, 21_021, 100_100, 999_999):
        words = spoken.say_number(number)
        assert re.fullmatch(spoken.NUMBER, words)
        assert spoken.parse_number(words) == number


@pytest.mark.parametrize("words", ["twenty twenty", "two ten", "hundred", "twenty zero", "one two"])
def test_words_that_are_no_number_are_refused(words):
    with pytest.raises(ValueError, match="not a number"):
        spoken.parse_number(words)


@pytest.mark.parametrize(
    ("words", "minutes"),
    [
        ("five minutes", 5),
        ("five minute", 5),
        ("an hour and a half", 90),
        ("ninety seconds", 1.5),
        ("two and a half hours", 150),
        ("half an hour", 30),
        ("three quarters of an hour", 45),
        ("an hour and ten minutes", 70),
        ("one hour twenty minutes and thirty seconds", 80.5),
        ("a couple of minutes", 2),
        ("one point five hours", 90),
        ("one point two five hours", 75),
        ("ten mins", 10),
        ("a min", 1),
        ("thirty secs", 0.5),
        ("two hrs and ten min", 130),
    ],
)
def test_durations_are_read_as_people_say_them(words, minutes):
    assert re.fullmatch(spoken.DURATION, words)
    assert spoken.parse_duration(words) == timedelta(minutes=minutes)


@pytest.mark.parametrize(
    ("words", "moment"),
    [
        ("half past seven", time(7, 30)),
        ("quarter to three pm", time(14, 45)),
        ("seven oh five p m", time(19, 5)),
        ("seven oclock", time(7)),
        ("noon", time(12)),
        ("twelve am", time(0)),
        ("eleven at night", time(23)),
        ("twelve at night", time(0)),
        ("twenty one forty five", time(21, 45)),
        ("ten minutes to six in the evening", time(17, 50)),
    ],
)
def test_times_of_day_are_read_as_people_say_them(words, moment):
    assert re.fullmatch(spoken.TIME, words)
    assert spoken.parse_time(words) == moment


def test_every_minute_of_the_day_can_be_said_and_read_back():
    for minutes in range(1440):
        moment = time(minutes // 60, minutes % 60)
        assert spoken.parse_time(spoken.key(spoken.say_time(moment))) == moment


def test_a_decimal_number_is_read():
    assert spoken.parse_decimal("minus two point two five") == -2.25


@pytest.mark.parametrize(
    ("rough", "mended"),
    [
        ("set a five minutes timer", "set a five minute timer"),
        ("set a an hour timer", "set an hour timer"),
        ("start a eleven minutes timer", "start an eleven minute timer"),
        ("start an timer", "start a timer"),
        ("set a timer for five minutes", "set a timer for five minutes"),
        ("start a one minute timer", "start a one minute timer"),
    ],
)
def test_grammar_around_filled_in_slots_is_mended(rough, mended):
    assert spoken.tidy(rough) == mended


@pytest.mark.parametrize("words", ["turn on the light", "a", "set it to twenty one"])
def test_words_in_their_one_form_stay_as_they_are(words):
    assert spoken.normalise(words) == spoken.normalise(f" {words.upper()}!") == words
