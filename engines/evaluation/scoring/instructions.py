"""The 25 verifiable instructions of IFEval (Zhou et al. 2023), each with its check.

Each check is the rule of Google's evaluator, its odd sides included: patterns given by the
data set are regular expressions, and what cannot be told of a text (its language) counts as
followed.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from engines.evaluation.scoring.language import language, sentences, words

_FENCES = ("```json", "```Json", "```JSON", "```")
_STOPS = ".,?!'\""


class UncheckableError(Exception):
    """An instruction that lacks what its check needs, or that is not known."""


@dataclass(frozen=True, slots=True)
class Given:
    """The arguments of one instruction, empty ones left out."""

    values: Mapping[str, Any]

    def text(self, name: str) -> str:
        """A text that is not empty."""
        value = self.values.get(name)
        if not isinstance(value, str):
            raise UncheckableError(f"{name} is missing")
        return value

    def texts(self, name: str) -> list[str]:
        """A list of texts that is not empty."""
        value = self.values.get(name)
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            raise UncheckableError(f"{name} is missing")
        return value

    def number(self, name: str) -> float:
        """A number above zero."""
        value = self.values.get(name)
        if not isinstance(value, int | float) or not value > 0:
            raise UncheckableError(f"{name} is missing")
        return value

    def holds(self, count: int, bound: str, relation: str = "relation") -> bool:
        """Whether a count is less than, or at least, the number given."""
        match self.values.get(relation):
            case "less than":
                return count < self.number(bound)
            case "at least":
                return count >= self.number(bound)
            case other:
                raise UncheckableError(f"{relation} is {other!r}")


Check = Callable[[str, Given], bool]


def _keywords(said: str, given: Given) -> bool:
    return all(re.search(word, said, re.IGNORECASE) for word in given.texts("keywords"))


def _keyword_frequency(said: str, given: Given) -> bool:
    found = re.findall(given.text("keyword").strip(), said, re.IGNORECASE)
    return given.holds(len(found), "frequency")


def _forbidden_words(said: str, given: Given) -> bool:
    forbidden = given.texts("forbidden_words")
    return not any(re.search(rf"\b{word}\b", said, re.IGNORECASE) for word in forbidden)


def _letter_frequency(said: str, given: Given) -> bool:
    count = said.lower().count(given.text("letter").strip().lower())
    return given.holds(count, "let_frequency", "let_relation")


def _response_language(said: str, given: Given) -> bool:
    return language(said) in {given.text("language"), None}


def _number_sentences(said: str, given: Given) -> bool:
    return given.holds(len(sentences(said)), "num_sentences")


def _number_words(said: str, given: Given) -> bool:
    return given.holds(len(re.findall(r"\w+", said)), "num_words")


def _number_paragraphs(said: str, given: Given) -> bool:
    """Between dividers of three asterisks; only the first and the last may be empty."""
    filled = [bool(part.strip()) for part in re.split(r"\s?\*\*\*\s?", said)]
    return all(filled[1:-1]) and sum(filled) == given.number("num_paragraphs")


def _nth_paragraph_first_word(said: str, given: Given) -> bool:
    """Between empty lines; the n-th is found among all, but only those with text are counted."""
    wanted, nth = given.number("num_paragraphs"), int(given.number("nth_paragraph"))
    first = given.text("first_word").lower()
    if nth > wanted:
        raise UncheckableError("nth_paragraph is beyond num_paragraphs")
    parts = said.split("\n\n")
    count = sum(bool(part.strip()) for part in parts)
    if nth > count or not parts[nth - 1].strip():
        return False
    word = parts[nth - 1].split()[0].lstrip("'").lstrip('"')
    bare = re.split(f"[{re.escape(_STOPS)}]", word)[0]
    return count == wanted and "".join(map(str.lower, bare)) == first


def _number_placeholders(said: str, given: Given) -> bool:
    return len(re.findall(r"\[.*?\]", said)) >= given.number("num_placeholders")


def _postscript(said: str, given: Given) -> bool:
    marker = given.text("postscript_marker").strip()
    known = {"P.P.S": r"p\.\s?p\.\s?s", "P.S.": r"p\.\s?s\."}
    return bool(re.search(known.get(marker, marker.lower()), said.lower()))


def _number_bullet_lists(said: str, given: Given) -> bool:
    stars = re.findall(r"^[^\S\n]*\*[^\*].*$", said, re.MULTILINE)
    dashes = re.findall(r"^[^\S\n]*-.*$", said, re.MULTILINE)
    return len(stars) + len(dashes) == given.number("num_bullets")


def _constrained_response(said: str, _given: Given) -> bool:
    return any(f"My answer is {word}." in said for word in ("yes", "no", "maybe"))


def _number_highlighted_sections(said: str, given: Given) -> bool:
    single = [part.strip("*") for part in re.findall(r"\*[^\n\*]*\*", said)]
    double = [part[2:-2] for part in re.findall(r"\*\*[^\n\*]*\*\*", said)]
    return sum(bool(part.strip()) for part in single + double) >= given.number("num_highlights")


def _multiple_sections(said: str, given: Given) -> bool:
    splitter = rf"\s?{given.text('section_spliter').strip()}\s?\d+\s?"
    return len(re.split(splitter, said)) - 1 >= given.number("num_sections")


def _json_format(said: str, _given: Given) -> bool:
    body = said.strip()
    for fence in _FENCES:
        body = body.removeprefix(fence)
    try:
        json.loads(body.removesuffix("```").strip())
    except (ValueError, RecursionError):
        return False
    return True


def _title(said: str, _given: Given) -> bool:
    titles = re.findall(r"<<[^\n]+>>", said)
    return any(title.lstrip("<").rstrip(">").strip() for title in titles)


def _two_responses(said: str, _given: Given) -> bool:
    """Two different ones around six asterisks; only before the first and after the last is room."""
    parts = [part.strip() for part in said.split("******")]
    filled = [part for part in parts if part]
    return all(parts[1:-1]) and len(filled) == 2 and filled[0] != filled[1]


def _repeat_prompt(said: str, given: Given) -> bool:
    return said.strip().lower().startswith(given.text("prompt_to_repeat").strip().lower())


def _end_checker(said: str, given: Given) -> bool:
    return said.strip().strip('"').lower().endswith(given.text("end_phrase").strip().lower())


def _capital_word_frequency(said: str, given: Given) -> bool:
    count = sum(word.isupper() for word in words(said))
    return given.holds(count, "capital_frequency", "capital_relation")


def _english_capital(said: str, _given: Given) -> bool:
    return said.isupper() and language(said) in {"en", None}


def _english_lowercase(said: str, _given: Given) -> bool:
    return said.islower() and language(said) in {"en", None}


def _no_comma(said: str, _given: Given) -> bool:
    return "," not in said


def _quotation(said: str, _given: Given) -> bool:
    body = said.strip()
    return len(body) > 1 and body.startswith('"') and body.endswith('"')


CHECKS: dict[str, Check] = {
    "keywords:existence": _keywords,
    "keywords:frequency": _keyword_frequency,
    "keywords:forbidden_words": _forbidden_words,
    "keywords:letter_frequency": _letter_frequency,
    "language:response_language": _response_language,
    "length_constraints:number_sentences": _number_sentences,
    "length_constraints:number_paragraphs": _number_paragraphs,
    "length_constraints:number_words": _number_words,
    "length_constraints:nth_paragraph_first_word": _nth_paragraph_first_word,
    "detectable_content:number_placeholders": _number_placeholders,
    "detectable_content:postscript": _postscript,
    "detectable_format:number_bullet_lists": _number_bullet_lists,
    "detectable_format:constrained_response": _constrained_response,
    "detectable_format:number_highlighted_sections": _number_highlighted_sections,
    "detectable_format:multiple_sections": _multiple_sections,
    "detectable_format:json_format": _json_format,
    "detectable_format:title": _title,
    "combination:two_responses": _two_responses,
    "combination:repeat_prompt": _repeat_prompt,
    "startend:end_checker": _end_checker,
    "startend:quotation": _quotation,
    "change_case:capital_word_frequency": _capital_word_frequency,
    "change_case:english_capital": _english_capital,
    "change_case:english_lowercase": _english_lowercase,
    "punctuation:no_comma": _no_comma,
}
"""The check of each instruction id."""


def followed(instruction: str, said: str, given: Given) -> bool:
    """Whether a response follows the instruction; an empty one follows none.

    Raises `UncheckableError`, and `language.MissingError` where a package is missing.
    """
    check = CHECKS.get(instruction)
    if check is None:
        raise UncheckableError("no such instruction")
    try:
        return bool(said.strip()) and check(said, given)
    except re.error as error:
        raise UncheckableError(f"{error.pattern!r} is no regular expression") from error
