"""Words as people say them: numbers, durations and times of day, read and spoken in English.

Speech recognition gives lower-case words without punctuation, typed text gives anything; both
are brought to one form by `normalise` before they are matched.
"""

import re
import unicodedata
from datetime import time, timedelta
from fractions import Fraction

_SMALL = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
    *("eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen"),
    *("eighteen", "nineteen"),
)
_TENS = ("", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_WORDS = {word: number for number, word in enumerate(_SMALL)}
_WORDS |= {word: 10 * number for number, word in enumerate(_TENS) if word}
_SCALES = {"hundred": 100, "thousand": 1000}
_MAX_NUMBER = 999_999
_MAX_SPOKEN = 10**15 - 1
_SIZES = {10**12: "trillion", 10**9: "billion", 10**6: "million", 1000: "thousand", 100: "hundred"}

NUMBER_WORDS = frozenset((*_WORDS, *_SCALES))

_WORD = f"(?:{'|'.join(sorted((*_WORDS, *_SCALES), key=len, reverse=True))})\\b"
NUMBER = f"(?:an? (?=hundred|thousand))?{_WORD}(?: (?:and |oh )?{_WORD})*"
"""Pattern of a whole number in words."""
INTEGER = f"(?:minus )?{NUMBER}"
"""The same, with or without a sign."""
DECIMAL = f"{INTEGER}(?: point{f'(?: {_WORD})'}+| and a half\\b)?"
"""Pattern of a number in words, with or without a fraction."""

_UNITS = f"(?:{'|'.join(_SMALL[1:10])})"
_SHORT_HUNDREDS = re.compile(
    f"({_UNITS}) (?:oh (?={_UNITS}$)|(?=(?:{'|'.join(_TENS[2:])})( {_UNITS})?$))"
)
"""The hundreds of "three fifty" and "one oh five", which are not named."""

_DIGIT = f"(?:{'|'.join(_SMALL[:10])})\\b"
_SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400, "week": 604_800}
_WRITTEN = {"sec": "second", "min": "minute", "hr": "hour"}
"""Units as they are typed, and hardly ever said."""
_PARTS = {"a": 1.0, "an": 1.0, "half a": 0.5, "half an": 0.5, "a half": 0.5, "a half an": 0.5}
_PARTS |= {"a couple of": 2.0, "a quarter of an": 0.25, "three quarters of an": 0.75}
_FRACTION = f"(?: point(?: {_DIGIT})+| and a half)?"
_AMOUNT = f"{'|'.join(sorted(_PARTS, key=len, reverse=True))}|{NUMBER}{_FRACTION}"
_UNIT = f"(?:{'|'.join((*_SECONDS, *_WRITTEN))})s?\\b"
_SPAN = f"(?:{_AMOUNT}) {_UNIT}(?: and a (?:half|quarter)\\b(?! an?\\b))?"
_SPAN_PARTS = re.compile(f"({_AMOUNT}) ({_UNIT})(?: and a (half|quarter))?")
DURATION = f"{_SPAN}(?: (?:and )?{_SPAN})*"
"""Pattern of a length of time in words."""

_HALF_OF_DAY = "(?: (?:[ap] ?m|in the (?:morning|afternoon|evening)|at night|tonight)\\b)?"
_HOUR = f"(?:twenty (?:one|two|three)\\b|{_WORD})"
_MINUTES = f"(?:half|(?:a )?quarter|{NUMBER}(?: minutes?)?)"
TIME = (
    f"(?:noon\\b|midday\\b|midnight\\b|(?:{_MINUTES} (?:past|after|to) )?{_HOUR}"
    f"(?: o ?clock\\b)?(?: (?:oh? )?{_WORD}(?: {_WORD})?)?{_HALF_OF_DAY})"
)
"""Pattern of a time of day in words."""


_NORMAL = re.compile("[a-z]+(?: [a-z]+)*")
_SIGNS = {"+": "plus", "-": "minus", "\u2212": "minus", "*": "times", "x": "times", "×": "times"}
_SIGNS |= {"/": "divided by", "÷": "divided by"}
_OPERATOR = re.compile(
    r"(?<=\d)(?:\s*([+*x×÷])\s*|\s+([-\u2212/])\s+|(?<!/\d)(?<!/\d\d)(/)(?!\d+(?:/|\s+[a-z])))"
    r"(?=[-\u2212]?\d)"
)
"""A sign between numbers; "9-4" may be a range, "1/2/2026" is a date and "1/2 cup" a fraction."""
_MINUS = re.compile(r"(?<![^\s(])[-\u2212](?=\d)")


def normalise(text: str) -> str:
    """Lower-case words with single spaces: punctuation dropped, digits spelled out.

    Apostrophes inside words stay ("what's"), since that is how sentences are written.
    """
    if _NORMAL.fullmatch(text):
        return text
    text = unicodedata.normalize("NFKC", text).casefold().replace("\u2019", "'")
    text = re.sub(r"\b([ap])\.\s?m\b\.?", r"\1m", text).replace("%", " percent ")
    text = text.replace("&", " and ").replace("_", " ")
    text = re.sub(r"(\d),(?=\d{3})", r"\1", text)
    text = _OPERATOR.sub(lambda found: f" {_SIGNS[found[found.lastindex or 0]]} ", text)
    text = _MINUS.sub(" minus ", text)
    text = re.sub(r"\d+(?:\.\d+)?", lambda found: f" {_spell(found[0])} ", text)
    text = re.sub(r"[^\w']+|(?<!\w)'+|'+(?!\w)", " ", text)
    return " ".join(text.split())


def key(text: str) -> str:
    """`normalise` without apostrophes: the form in which sentences are compared."""
    return normalise(text).replace("'", "")


def _spell(digits: str) -> str:
    whole, _, fraction = digits.partition(".")
    spelled = say_number(int(whole)) if int(whole) <= _MAX_NUMBER else " ".join(whole)
    return spelled + (" point " + " ".join(_SMALL[int(d)] for d in fraction) if fraction else "")


def parse_number(words: str) -> int:
    """Read a whole number: "twenty one" is 21. Raises `ValueError` for anything else.

    Hundreds need not be named: "three fifty" is 350, "one oh five" is 105.
    """
    total = current = 0
    room = 100
    whole = re.sub(r"^an? ", "one ", words).replace(" and ", " ")
    if short := _SHORT_HUNDREDS.match(whole):
        whole = f"{short[1]} hundred {whole[short.end() :]}"
    for word in whole.split():
        if word == "thousand" and total == 0 and current > 0:
            total, current, room = current * 1000, 0, 100
        elif word == "hundred" and 0 < current < 100:  # noqa: PLR2004 - a hundred is its own name
            current, room = current * 100, 100
        elif _WORDS.get(word, room) < room and (word != "zero" or words == word):
            current += _WORDS[word]
            room = 10 if _WORDS[word] >= 20 else 0  # noqa: PLR2004 - only tens take a unit
        else:
            raise ValueError(f"not a number: {words!r}")
    return total + current


def parse_integer(words: str) -> int:
    """Read a whole number with or without a sign: "minus five". Raises `ValueError` otherwise."""
    number = parse_number(words.removeprefix("minus "))
    return -number if words.startswith("minus ") else number


def parse_decimal(words: str) -> float:
    """Read a number: "two point five", "two and a half". Raises `ValueError` otherwise."""
    sign = -1.0 if words.startswith("minus ") else 1.0
    halved = re.sub(r" and a half$", " point five", words.removeprefix("minus "))
    whole, _, fraction = halved.partition(" point ")
    digits = "".join(str(parse_number(word)) for word in fraction.split())
    return sign * float(f"{parse_number(whole)}.{digits or 0}")


def parse_duration(words: str) -> timedelta:
    """Read a length of time: "an hour and a half". Raises `ValueError` for anything else."""
    seconds = 0.0
    rest = words
    while rest:
        found = _SPAN_PARTS.match(rest)
        if found is None:
            raise ValueError(f"not a length of time: {words!r}")
        amount, unit, tail = found.groups()
        count = _PARTS[amount] if amount in _PARTS else parse_decimal(amount)
        count += {"half": 0.5, "quarter": 0.25, None: 0.0}[tail]
        name = unit.removesuffix("s")
        seconds += count * _SECONDS[_WRITTEN.get(name, name)]
        rest = rest[found.end() :].strip().removeprefix("and ")
    return timedelta(seconds=seconds)


def parse_time(words: str) -> time:
    """Read a time of day: "half past seven in the evening". Raises `ValueError` otherwise.

    Without "am", "pm" or a part of the day the hours are taken as said: "seven" is 07:00.
    """
    fixed = {"noon": time(12), "midday": time(12), "midnight": time(0)}
    if words in fixed:
        return fixed[words]
    clock, half = _split_half(re.sub(r" o ?clock\b", "", words))
    found = re.fullmatch(r"(.+?)(?: minutes?)? (past|after|to) (.+)", clock)
    if found:
        named = {"half": 30, "quarter": 15, "a quarter": 15}
        hour, minute = parse_number(found[3]), named.get(found[1]) or parse_number(found[1])
    else:
        first = re.match(_HOUR, clock)
        if first is None:
            raise ValueError(f"not a time of day: {words!r}")
        hour, rest = parse_number(first[0]), clock[first.end() :].strip()
        minute = parse_number(re.sub(r"^oh? ", "", rest)) if rest else 0
    before = bool(found and found[2] == "to")
    if hour > 24 or minute > 59:  # noqa: PLR2004 - the bounds of a clock
        raise ValueError(f"not a time of day: {words!r}")
    minutes = 60 * _hour_of_day(hour, half, before=before) + (-minute if before else minute)
    return time(minutes // 60 % 24, minutes % 60)


def _hour_of_day(hour: int, half: str, *, before: bool) -> int:
    """Put an hour of the clock face into its half of the day.

    "Ten to twelve in the morning" means noon, "ten past twelve in the morning" midnight.
    """
    if not half or hour > 12:  # noqa: PLR2004 - the hours of a clock face
        return hour
    if half == "morning" and before:
        return hour
    return hour % 12 + (12 if half == "pm" else 0)


def _split_half(words: str) -> tuple[str, str]:
    """Cut "am", "pm" and their long forms off the end: ("seven", "pm")."""
    halves = {
        r"a ?m": "am",
        r"in the morning": "morning",
        r"p ?m|in the (?:afternoon|evening)": "pm",
    }
    for pattern, half in halves.items():
        if found := re.search(f" (?:{pattern})$", words):
            return words[: found.start()], half
    if found := re.search(" (?:at night|tonight)$", words):
        clock = words[: found.start()]
        hour = re.split(" (?:past|after|to) ", clock)[-1].split()[0]
        return clock, "am" if hour in ("twelve", *_SMALL[:5]) else "pm"
    return words, ""


def say_number(number: int) -> str:
    """Spell out `number`: 21 is "twenty one". Raises `ValueError` from a thousand trillions on."""
    if abs(number) > _MAX_SPOKEN:
        raise ValueError(f"{number} is too large to be spoken")
    if number < 0:
        return "minus " + say_number(-number)
    for size, name in _SIZES.items():
        if number >= size:
            rest = number % size
            return f"{say_number(number // size)} {name}" + (f" {say_number(rest)}" if rest else "")
    if number < len(_SMALL):
        return _SMALL[number]
    return _TENS[number // 10] + (f" {_SMALL[number % 10]}" if number % 10 else "")


def say_decimal(number: Fraction | float, places: int = 3) -> str:
    """Speak a number rounded to `places` decimals: 2.5 is "two point five".

    Raises `ValueError` from a thousand trillions on.
    """
    whole, rest = divmod(round(abs(number) * 10**places), 10**places)
    digits = f"{rest:0{places}d}".rstrip("0")
    point = " point " + " ".join(_SMALL[int(digit)] for digit in digits) if digits else ""
    sign = "minus " if number < 0 and (whole or rest) else ""
    return f"{sign}{say_number(whole)}{point}"


def say_duration(duration: timedelta) -> str:
    """Speak a length of time, to the second: "one hour and thirty minutes"."""
    left = max(0, round(duration.total_seconds()))
    parts = []
    for unit in ("day", "hour", "minute", "second"):
        count, left = divmod(left, _SECONDS[unit])
        if count:
            parts.append(f"{say_number(count)} {unit}{'s' if count > 1 else ''}")
    return " and ".join(filter(None, (", ".join(parts[:-1]), *parts[-1:]))) or "no time"


def say_time(moment: time) -> str:
    """Speak a time of day: "ten past three in the afternoon"."""
    if (moment.hour, moment.minute) in ((0, 0), (12, 0)):
        return "noon" if moment.hour else "midnight"
    minute, hour = moment.minute, moment.hour
    named = {15: "quarter", 30: "half"}
    if minute > 30:  # noqa: PLR2004 - past the half hour the next hour is named
        minute, hour, side = 60 - minute, (hour + 1) % 24, "to"
    else:
        side = "past"
    clock = say_number(hour % 12 or 12)
    if minute == 0:
        return f"{clock} o'clock {_part_of_day(moment.hour)}"
    unit = "" if minute in named or minute % 5 == 0 else f" minute{'s' if minute > 1 else ''}"
    amount = named.get(minute) or say_number(minute)
    return f"{amount}{unit} {side} {clock} {_part_of_day(moment.hour)}"


def _part_of_day(hour: int) -> str:
    """`hour` of 24."""
    for until, name in ((12, "in the morning"), (18, "in the afternoon"), (22, "in the evening")):
        if hour < until:
            return name
    return "at night"


_MENDS = (
    # what is mended, how, and the letters without which there is nothing to mend: soon looked for
    (re.compile(r"\ban? (?=an? |half an? )"), "", ("a a", "n a", " half a")),
    (
        re.compile(rf"\b(an? {NUMBER} (?:second|minute|hour|day|week))s\b"),
        r"\1",
        ("seconds", "minutes", "hours", "days", "weeks"),
    ),
    (re.compile(r"\ban (?!hour|[aeiou])"), "a ", ("an ",)),
    (
        re.compile(r"\ba (?=hour|[aei]|o(?!n[ce])|un(?!i))"),
        "an ",
        ("a h", "a a", "a e", "a i", "a o", "a u"),
    ),
)


def tidy(sentence: str) -> str:
    """Mend the grammar around filled-in slots: "a five minutes timer", "an timer", "a an hour"."""
    if "a " not in sentence and "an " not in sentence:
        return sentence
    for wrong, mended, letters in _MENDS:
        for some in letters:
            if some in sentence:
                sentence = wrong.sub(mended, sentence)
                break
    return sentence
