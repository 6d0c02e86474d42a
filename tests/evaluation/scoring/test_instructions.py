"""IFEval's instructions, one by one, at the edge of each rule."""

import re

import pytest

from engines.evaluation.scoring.instructions import CHECKS, Given, UncheckableError, followed
from engines.evaluation.scoring.language import language, sentences, words

FRENCH = "Le chat dort sur la table et ne veut pas sortir dans le jardin."
ENGLISH = "The cat sleeps on the table and does not want to go outside."


def paragraphs(count, nth, word):
    return {"num_paragraphs": count, "nth_paragraph": nth, "first_word": word}


def at_least(bound, value, relation="relation"):
    return {bound: value, relation: "at least"}


def less_than(bound, value, relation="relation"):
    return {bound: value, relation: "less than"}


CASES = [
    ("keywords:existence", {"keywords": ["fox", "DOG"]}, "A foxy dog", True),
    ("keywords:existence", {"keywords": ["fox", "dog"]}, "A fox", False),
    ("keywords:existence", {"keywords": ["f.x"]}, "a fix", True),  # a regular expression
    ("keywords:frequency", {"keyword": " fox ", **at_least("frequency", 2)}, "Fox foxes", True),
    ("keywords:frequency", {"keyword": "fox", **less_than("frequency", 2)}, "fox fox", False),
    ("keywords:frequency", {"keyword": "fox", **less_than("frequency", 2)}, "fox", True),
    ("keywords:forbidden_words", {"forbidden_words": ["fox"]}, "FOX", False),
    ("keywords:forbidden_words", {"forbidden_words": ["fox"]}, "foxes", True),
    (
        "keywords:letter_frequency",
        {"letter": "E", **at_least("let_frequency", 3, "let_relation")},
        "Eve e",
        True,
    ),
    (
        "keywords:letter_frequency",
        {"letter": "e", **less_than("let_frequency", 3, "let_relation")},
        "Eve e",
        False,
    ),
    ("language:response_language", {"language": "fr"}, FRENCH, True),
    ("language:response_language", {"language": "en"}, FRENCH, False),
    ("language:response_language", {"language": "fr"}, "12 + 3", True),  # no letter, no objection
    (
        "length_constraints:number_sentences",
        at_least("num_sentences", 2),
        "Dr. Smith went. He left.",
        True,
    ),
    (
        "length_constraints:number_sentences",
        less_than("num_sentences", 2),
        "Dr. Smith went home at 3 p.m. in the U.S. today.",
        True,
    ),
    ("length_constraints:number_sentences", at_least("num_sentences", 3), "One. Two", False),
    ("length_constraints:number_words", at_least("num_words", 5), "well-known, isn't it", True),
    ("length_constraints:number_words", less_than("num_words", 5), "well-known, isn't it", False),
    ("length_constraints:number_paragraphs", {"num_paragraphs": 2}, "a\n***\nb", True),
    ("length_constraints:number_paragraphs", {"num_paragraphs": 2}, "***\na *** b\n***\n", True),
    ("length_constraints:number_paragraphs", {"num_paragraphs": 2}, "a\n***\n\n***\nb", False),
    ("length_constraints:number_paragraphs", {"num_paragraphs": 2}, "a\n\nb", False),
    ("length_constraints:nth_paragraph_first_word", paragraphs(2, 2, "So"), "a\n\nso, b", True),
    (
        "length_constraints:nth_paragraph_first_word",
        paragraphs(2, 2, "so"),
        'a\n\n\'"So." b',
        True,
    ),
    ("length_constraints:nth_paragraph_first_word", paragraphs(2, 2, "so"), "a\n\nsome", False),
    (
        "length_constraints:nth_paragraph_first_word",
        paragraphs(2, 2, "so"),
        "a\n\nso\n\nc",
        False,  # three
    ),
    ("length_constraints:nth_paragraph_first_word", paragraphs(2, 2, "so"), "so", False),
    (
        "length_constraints:nth_paragraph_first_word",
        paragraphs(2, 2, "so"),
        "a\n\n\n\nso",
        False,  # the second is empty, though only two count
    ),
    ("detectable_content:number_placeholders", {"num_placeholders": 2}, "[a] [] b]", True),
    ("detectable_content:number_placeholders", {"num_placeholders": 2}, "[a\n] [b]", False),
    ("detectable_content:postscript", {"postscript_marker": "P.S."}, "Hi\np. s. bye", True),
    ("detectable_content:postscript", {"postscript_marker": "P.S."}, "Hi\nPS bye", False),
    ("detectable_content:postscript", {"postscript_marker": "P.P.S"}, "p.p. s", True),
    ("detectable_content:postscript", {"postscript_marker": "P.P.S"}, "p.s.", False),
    ("detectable_content:postscript", {"postscript_marker": "NB:"}, "nb: x", True),
    ("detectable_format:number_bullet_lists", {"num_bullets": 2}, "* a\n  - b", True),
    ("detectable_format:number_bullet_lists", {"num_bullets": 1}, "* a\n- b", False),  # exactly
    ("detectable_format:number_bullet_lists", {"num_bullets": 1}, "** a **", False),
    ("detectable_format:constrained_response", {}, "Well: My answer is maybe.", True),
    ("detectable_format:constrained_response", {}, "my answer is maybe.", False),
    ("detectable_format:number_highlighted_sections", {"num_highlights": 2}, "*a* **b**", True),
    ("detectable_format:number_highlighted_sections", {"num_highlights": 1}, "* * ****", False),
    ("detectable_format:number_highlighted_sections", {"num_highlights": 1}, "*a\nb*", False),
    (
        "detectable_format:multiple_sections",
        {"section_spliter": "Section", "num_sections": 2},
        "Section 1 a\nSection2 b Section C",
        True,
    ),
    (
        "detectable_format:multiple_sections",
        {"section_spliter": "SECTION", "num_sections": 1},
        "Section 1",
        False,
    ),
    ("detectable_format:json_format", {}, ' ```json\n{"a": [1]}\n``` ', True),
    ("detectable_format:json_format", {}, "3", True),
    ("detectable_format:json_format", {}, '{"a": 1} ok', False),
    ("detectable_format:json_format", {}, "[" * 100_000, False),
    ("detectable_format:title", {}, "x <<Joy>> y", True),
    ("detectable_format:title", {}, "<< >> <<\nJoy>>", False),
    ("combination:two_responses", {}, "a\n******\nb", True),
    ("combination:two_responses", {}, "******a******b******", True),
    ("combination:two_responses", {}, "a******a", False),
    ("combination:two_responses", {}, "a************b", False),
    ("combination:two_responses", {}, "a", False),
    ("combination:repeat_prompt", {"prompt_to_repeat": " Say HI "}, "\nsay hi. Hi!", True),
    ("combination:repeat_prompt", {"prompt_to_repeat": "Say hi"}, "Sure: say hi", False),
    ("startend:end_checker", {"end_phrase": "Bye now"}, 'x BYE NOW" ', True),
    ("startend:end_checker", {"end_phrase": "Bye now"}, "bye now.", False),
    ("startend:quotation", {}, ' "x" ', True),
    ("startend:quotation", {}, '"', False),
    ("startend:quotation", {}, '"x" y', False),
    (
        "change_case:capital_word_frequency",
        at_least("capital_frequency", 3, "capital_relation"),
        "NASA is A-OK I say",
        True,
    ),
    (
        "change_case:capital_word_frequency",
        less_than("capital_frequency", 3, "capital_relation"),
        "NASA is A-OK I say",
        False,
    ),
    ("change_case:english_capital", {}, ENGLISH.upper(), True),
    ("change_case:english_capital", {}, ENGLISH, False),
    ("change_case:english_lowercase", {}, ENGLISH.lower(), True),
    ("change_case:english_lowercase", {}, FRENCH.lower(), False),
    ("punctuation:no_comma", {}, "a; b", True),
    ("punctuation:no_comma", {}, "a, b", False),
]


@pytest.mark.parametrize(("name", "given", "said", "verdict"), CASES)
def test_a_check(name, given, said, verdict):
    assert followed(name, said, Given(given)) is verdict


def test_every_check_is_tried_both_ways():
    assert len(CHECKS) == 25
    assert {(name, verdict) for name, _, _, verdict in CASES} == {
        (name, verdict) for name in CHECKS for verdict in (True, False)
    }


@pytest.mark.parametrize("name", CHECKS)
def test_an_empty_response_follows_nothing(name):
    assert followed(name, " \n", Given({})) is False


@pytest.mark.parametrize(
    ("name", "given", "reason"),
    [
        ("keywords:rhyme", {}, "no such instruction"),
        ("keywords:existence", {}, "keywords is missing"),
        ("keywords:existence", {"keywords": ["c("]}, "'c(' is no regular expression"),
        ("length_constraints:number_words", {"num_words": 3}, "relation is None"),
        ("length_constraints:number_words", less_than("num_words", -1), "num_words is missing"),
        ("length_constraints:number_words", {"num_words": 3, "relation": "over"}, "'over'"),
        ("length_constraints:nth_paragraph_first_word", paragraphs(2, 3, "a"), "beyond"),
        ("startend:end_checker", {"end_phrase": 7}, "end_phrase is missing"),
    ],
)
def test_what_cannot_be_checked_says_why(name, given, reason):
    with pytest.raises(UncheckableError, match=re.escape(reason)):
        followed(name, "a", Given(given))


def test_a_language_is_told_the_same_every_time():
    doubtful = "ok no data"
    assert language(FRENCH) == "fr"
    assert language("...") is None
    told = {language.__wrapped__(doubtful) for _ in range(5)}
    assert len(told) == 1


def test_the_quick_detector_is_the_package_number_for_number():
    import langdetect
    from langdetect.detector_factory import PROFILES_DIRECTORY, DetectorFactory

    factory = DetectorFactory()
    factory.load_profile(PROFILES_DIRECTORY)
    factory.set_seed(0)
    for text in (FRENCH, ENGLISH, f"{FRENCH} {ENGLISH}", "Straße, naïve, ñ", "これはペンです", "x"):
        own = factory.create()
        own.append(text)
        try:
            told = own.detect()
        except langdetect.LangDetectException:
            told = None
        assert language(text) == told


def test_sentences_and_words_are_those_of_nltk():
    assert sentences('Mr. Fox paid $3.50. Why?! (He did.) "Yes." He left') == [
        "Mr. Fox paid $3.50.",
        "Why?!",
        "(He did.)",
        '"Yes."',
        "He left",
    ]
    assert words("I can't. A-OK!") == ["I", "ca", "n't", ".", "A-OK", "!"]
