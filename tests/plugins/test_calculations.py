import asyncio
import threading
from fractions import Fraction
from pathlib import Path

import pytest

from assistant import spoken
from assistant.intents import Intents
from assistant.loading import load_plugins
from assistant.settings import PluginSettings
from plugins import units


@pytest.mark.parametrize(
    ("said", "reply"),
    [
        ("what is seven times eight", "Seven times eight is fifty six."),
        ("ten divided by three", "Ten divided by three is three and one third."),
        ("one divided by six", "One divided by six is one sixth."),
        ("five divided by four", "Five divided by four is one point two five."),
        ("ten divided by 17", "Ten divided by seventeen is about zero point five eight eight."),
        ("what is 0.1 plus 0.2", "Zero point one plus zero point two is zero point three."),
        ("minus five plus three", "Minus five plus three is minus two."),
        ("subtract five from two", "Two minus five is minus three."),
        ("how many times does six go into 42", "Forty two divided by six is seven."),
        ("ten percent of two hundred", "Ten percent of two hundred is twenty."),
        ("a third of ten", "A third of ten is three and one third."),
        ("nine squared", "Nine squared is eighty one."),
        ("the square root of eighty one", "The square root of eighty one is nine."),
        ("the square root of two", "The square root of two is about one point four one four."),
        ("the square root of 2.25", "The square root of two point two five is one point five."),
        ("what is twelve over zero", "Nothing can be divided by zero, I'm afraid."),
        ("square root of minus four", "A negative number has no real square root."),
        ("what is 9 - 4", "Nine minus four is five."),
        ("what is 5 * 5", "Five times five is twenty five."),
        ("what is 6x7", "Six times seven is forty two."),
        ("what's 12 / 4", "Twelve divided by four is three."),
        ("what is -5 + 3", "Minus five plus three is minus two."),
        ("what is 9 minus -4", "Nine minus minus four is thirteen."),
        ("work out fifteen and thirteen", "Fifteen plus thirteen is twenty eight."),
        (
            "what is 0.0001 times 2",
            "Zero point zero zero zero one times two is zero point zero zero zero two.",
        ),
        (
            "1 divided by 2000",
            "One divided by two thousand is zero point zero zero zero five.",
        ),
        (
            "1 divided by 3000",
            "One divided by three thousand is about zero point zero zero zero three three three.",
        ),
        ("the square root of 0", "The square root of zero is zero."),
        ("999 to the power of twelve", None),
    ],
)
async def test_arithmetic_is_exact_and_spoken_as_people_say_it(assistant, said, reply):
    turn = await assistant.hear(said)
    assert turn.intent.startswith("calculator.")
    assert turn.error is None
    assert turn.reply == (reply or turn.reply)
    assert reply or turn.reply.endswith("is more than I can count.")


@pytest.mark.parametrize(
    ("said", "reply"),
    [
        ("how many metres are in a kilometre", "One kilometre is one thousand metres."),
        ("convert ten miles to km", "Ten miles is about sixteen point zero nine kilometres."),
        (
            "what is 70 degrees fahrenheit in celsius",
            "Seventy degrees fahrenheit is about twenty one point one one degrees celsius.",
        ),
        (
            "0 celsius in kelvin",
            "Zero degrees celsius is about two hundred seventy three point two kelvin.",
        ),
        ("minus 40 celsius in fahrenheit", "Minus forty degrees celsius is minus forty degrees"),
        (
            "how many ounces are in two and a half pounds",
            "Two point five pounds is forty ounces.",
        ),
        (
            "what's -5 celsius in fahrenheit",
            "Minus five degrees celsius is twenty three degrees fahrenheit.",
        ),
        ("half an hour in minutes", "Zero point five hours is thirty minutes."),
    ],
)
async def test_an_amount_is_said_in_another_unit(assistant, said, reply):
    turn = await assistant.hear(said)
    assert turn.intent in {f"units.{kind}" for kind in units._UNITS}
    assert turn.reply.startswith(reply)


async def test_units_of_two_kinds_are_refused_in_the_very_words_alone(assistant):
    turn = await assistant.hear("how many litres are in a mile")
    assert turn.intent == "units.refuse"
    assert turn.reply == "I can't turn miles into litres: one is a length, the other a volume."
    assert (await assistant.hear("how many litre are in a mila")).intent != "units.refuse"


def test_no_sound_is_taken_for_units_of_two_kinds():
    loaded, _ = load_plugins(PluginSettings(folder=Path("/nowhere")))
    intents = Intents(loaded, state_folder=Path("/nowhere"), timeout_s=1)

    def heard(said):
        return any(template.match(spoken.key(said)) for template in intents.templates)

    assert heard("convert three kilos to pounds")
    assert not heard("convert three kilos to metres")
    assert "convert three kilos to metres" not in intents.candidates("convert three kilos to metre")


async def test_what_is_known_of_units_is_read_before_somebody_asks(assistant, monkeypatch):
    read = threading.Event()
    monkeypatch.setattr(units, "_LATER_S", 0.0)
    monkeypatch.setattr(units, "_registry", read.set)
    await assistant.hear("hello")
    assert await asyncio.to_thread(read.wait, 10)


@pytest.mark.parametrize(
    "said",
    [
        "how many legs are in a spider",
        "how many people live in a city",
        "what is the boiling point of water",
        "how many pounds is a dollar",
        "what is two",
        "what is nine four",
        "what is 2 ^ 3",
        "what happened in 1914 - 1918",
    ],
)
async def test_a_question_about_the_world_is_left_to_the_model(assistant, said):
    assert (await assistant.hear(said)).intent is None


SIZES = {
    "metre": "kilometre 1000, centimetre 0.01, millimetre 0.001, mile 1609.344, yard 0.9144,"
    "foot 0.3048, inch 0.0254",
    "gram": "kilogram 1000, milligram 0.001, tonne 1000000, pound 453.59237, ounce 28.349523125,"
    "stone 6350.29318",
    "litre": "millilitre 0.001, centilitre 0.01, gallon 3.785411784, quart 0.946352946,"
    "pint 0.473176473, cup 0.2365882365, fluid ounce 0.0295735295625,"
    "tablespoon 0.01478676478125, teaspoon 0.00492892159375",
    "second": "minute 60, hour 3600, day 86400, week 604800",
    "kelvin": "degree celsius 274.15, degree fahrenheit 46067/180",
}
"""How many of the first each unit is; of degrees, where one degree is."""


@pytest.mark.parametrize("first", SIZES)
def test_every_unit_is_exactly_as_large_as_it_is_defined(first):
    sizes = dict(each.strip().rsplit(" ", 1) for each in SIZES[first].split(","))
    for unit, size in sizes.items():
        assert units._convert(Fraction(1), unit, first) == Fraction(size)
        assert units._convert(Fraction(size), first, unit) == 1
    assert {first, *sizes} == set(units._UNITS[units._KINDS[first]])
