"""Written text to the lower-case words a person would say, and the sentences to say."""

import csv
import gzip
import json
import random
import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, cast

from unicode_rbnf import FormatPurpose, RbnfEngine

MAX_WORDS = 16
"""Longer sentences are not spoken: nano is made for requests."""

_SYMBOLS = {
    "%": " percent ",
    "&": " and ",
    "+": " plus ",
    "=": " equals ",
    "°": " degrees ",
    "@": " at ",
}
_SHORT = {
    "dr.": "doctor",
    "mr.": "mister",
    "mrs.": "missus",
    "st.": "saint",
    "vs.": "versus",
    "etc.": "et cetera",
}
_LETTERS = re.compile(r"[^a-z' ]+")
_NUMBER = re.compile(r"\d+(?:,\d{3})*(?:\.\d+)?(?:st|nd|rd|th)?")
_TIME = re.compile(r"\b(\d{1,2}):(\d{2})\b")
_CLOCK = re.compile(r"(\d|o'clock)\s*([ap])\.?\s?m\b\.?|\b([ap])\.\s?m\b\.?")
"""a.m. and p.m.: after a number, or written with dots, for "am" alone is a word."""
_ABBREVIATION = re.compile(r"\b(?:dr|mr|mrs|st|vs|etc)\.")
_MONEY = re.compile(r"([$£€])\s?(\d+(?:,\d{3})*)(?:\.(\d{2}))?")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")
_CURRENCY = {"$": "dollars", "£": "pounds", "€": "euros"}


def spoken(text: str) -> str:
    """The words of `text` as they are said: lower case, numbers spelled out, no punctuation.

    The apostrophe stays inside words. Text with nothing sayable gives an empty string.
    """
    text = unicodedata.normalize("NFKD", text.replace("’", "'")).lower()
    text = "".join(c for c in text if not unicodedata.combining(c))
    text = _ABBREVIATION.sub(lambda m: _SHORT[m.group()], text)
    text = _MONEY.sub(_say_money, text)
    text = _TIME.sub(_say_time, text)
    text = _CLOCK.sub(lambda m: f"{m[1] or ''} {m[2] or m[3]} m ", text)
    text = _NUMBER.sub(lambda m: f" {_say_digits(m.group())} ", text)
    for symbol, word in _SYMBOLS.items():
        text = text.replace(symbol, word)
    words = _LETTERS.sub(" ", text).split()
    return " ".join(word for word in (w.strip("'") for w in words) if word)


def _say_money(match: re.Match[str]) -> str:
    symbol, whole, cents = match.groups()
    said = f"{whole} {_CURRENCY[symbol]}"
    return f"{said} {cents}" if cents and int(cents) else said


def _say_time(match: re.Match[str]) -> str:
    hour, minute = match.groups()
    if minute == "00":
        return f"{hour} o'clock"
    return f"{hour} oh {minute[1]}" if minute[0] == "0" else f"{hour} {minute}"


@lru_cache
def _numbers() -> RbnfEngine:
    return RbnfEngine.for_language("en")


def say_number(number: int) -> str:
    """A whole number in words: 21 is "twenty one"."""
    return _rbnf(str(number), FormatPurpose.CARDINAL)


@lru_cache(4096)
def _say_digits(digits: str) -> str:
    plain = digits.replace(",", "")
    if plain[-2:] in {"st", "nd", "rd", "th"}:
        return _rbnf(plain[:-2], FormatPurpose.ORDINAL)
    if "." in plain:
        whole, _, fraction = plain.partition(".")
        return " ".join([_say_digits(whole), "point", *(_say_digits(d) for d in fraction)])
    if len(plain) > 4 and "," not in digits:  # codes and telephone numbers are read digit by digit
        return " ".join(_rbnf(d, FormatPurpose.CARDINAL) for d in plain)
    if re.fullmatch(r"1[1-9]\d\d|20[1-9]\d", digits):
        return _rbnf(plain, FormatPurpose.YEAR)
    return _rbnf(plain, FormatPurpose.CARDINAL)


def _rbnf(digits: str, purpose: FormatPurpose) -> str:
    return str(_numbers().format_number(int(digits), purpose).text).replace("-", " ")


def sentences(folder: Path) -> Iterator[tuple[str, str]]:
    """(source, written sentence) of everything in the text folder that people could say."""
    for name, key in [
        ("slurp", "text"),
        ("clinc", "text"),
        ("snips", "text"),
        ("banking77", "text"),
        ("webquestions", "question"),
        ("opentriviaqa", "question"),
    ]:
        for row in read_jsonl(folder / f"{name}.jsonl.gz"):
            yield name, row[key]
    with gzip.open(folder / "slurp-lm.txt.gz", "rt", encoding="utf-8") as lines:
        for line in lines:
            yield "slurp-lm", line.strip()
    for path in sorted((folder / "piper-prompts").glob("*United_Kingdom*.txt")):
        for line in path.read_text(encoding="utf-8").splitlines():
            yield "piper", line.partition("\t")[2]
    yield from _home(folder / "home-llm-piles")
    for row in read_jsonl(folder / "sgd-dialogues.jsonl.gz"):
        for who, said in cast("list[tuple[Literal['U', 'S'], str]]", row):
            if who == "U":
                yield "sgd", said


def prose(folder: Path) -> Iterator[str]:
    """Written sentences that nobody says to an assistant: how English goes, and names."""
    for row in read_jsonl(folder / "gsm8k-train.jsonl.gz"):
        yield from _SENTENCE_END.split(row["question"])
    for row in read_jsonl(folder / "sgd-dialogues.jsonl.gz"):
        for who, said in cast("list[tuple[Literal['U', 'S'], str]]", row):
            if who == "S":
                yield from _SENTENCE_END.split(said)


def _home(folder: Path) -> Iterator[tuple[str, str]]:
    devices = _column(folder / "pile_of_device_names.csv", "description")
    rng = random.Random(0)  # noqa: S311 - not for secrets
    for pile in ("templated_actions", "specific_actions", "status_requests", "refusals"):
        for phrase in _column(folder / f"pile_of_{pile}.csv", "phrase"):
            if "<" not in phrase:
                yield "home", phrase
                continue
            for _ in range(6):
                filled = phrase.replace("<device_name>", rng.choice(devices))
                yield "home", re.sub(r"<[a-z_]+>", str(rng.randint(1, 100)), filled)
    for item in (folder / "pile_of_todo_items.txt").read_text(encoding="utf-8").splitlines():
        yield "home", f"add {item} to my to do list"


def _column(path: Path, name: str) -> list[str]:
    with path.open(encoding="utf-8", newline="") as file:
        return [row[name] for row in csv.DictReader(file) if row.get(name)]


def read_jsonl(path: Path) -> Iterator[Any]:
    """Each line of a JSON-lines file, compressed when its name ends in `.gz`."""
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)
