"""IFEval as VoiceBench scores it: strict and loose, by prompt and by instruction."""

import random
import string
import sys

import pytest

from engines.evaluation.scoring import SCORERS, RowsError, headline
from engines.evaluation.scoring import language as natural
from engines.evaluation.scoring.ifeval import variants

NO_COMMA = ("punctuation:no_comma", {})
QUOTED = ("startend:quotation", {})
TITLE = ("detectable_format:title", {})


def row(prompt, response, *instructions):
    empty = {"num_words": None, "relation": None, "keywords": []}
    return {
        "key": 1,
        "prompt": prompt,
        "response": response,
        "instruction_id_list": [name for name, _ in instructions],
        "kwargs": [empty | given for _, given in instructions],
    }


def test_the_eight_variants_without_those_that_are_the_same():
    assert variants("*a*\n b \nc") == [
        "*a*\n b \nc",
        "b \nc",
        "*a*\n b",
        "b",
        "a\n b \nc",
        "a\n b",
    ]
    assert variants("x") == ["x", ""]


def test_the_four_figures():
    rows = [
        row("one", "fine", NO_COMMA),
        row("two", 'Sure, here:\n"fine"', QUOTED, NO_COMMA),  # both without its first line
        row("three", "no, <<Joy>>", NO_COMMA, TITLE, QUOTED),
        row("four", "", NO_COMMA),
    ]
    result = SCORERS["ifeval"](rows)
    assert result.metrics == {
        "strict-prompt": 100 * 1 / 4,
        "strict-instruction": pytest.approx(100 * 2 / 7),
        "loose-prompt": 100 * 2 / 4,
        "loose-instruction": pytest.approx(100 * 4 / 7),
    }
    assert result.parts["strict-prompt"] == (1, 0, 0, 0)
    assert result.parts["loose-prompt"] == (1, 1, 0, 0)
    assert result.parts["strict-instruction"] == (1, 0, pytest.approx(1 / 3), 0)
    assert result.items == (1, 0.5, pytest.approx((1 / 3 + 1 / 3) / 4), 0)
    assert headline(result) == pytest.approx(sum(result.metrics.values()) / 4)
    assert result.by["instruction"] == {
        "detectable_format:title": 100,
        "punctuation:no_comma": 25,
        "startend:quotation": 0,
    }
    assert (result.failed, result.unscored, result.notes) == (0, 0, ())


def test_each_instruction_may_take_its_own_variant():
    said = '"fine"\nbye, all'
    result = SCORERS["ifeval"](
        [row("x", said, QUOTED, ("keywords:existence", {"keywords": ["bye"]}))]
    )
    assert result.parts["loose-prompt"] == (1,)


def test_a_mark_before_the_response_is_cut_off():
    assert SCORERS["ifeval"]([row("x", '<2> "fine"', QUOTED)]).items == (1,)
    assert SCORERS["ifeval"]([row("x", '<4> "fine"', QUOTED)]).items == (0,)


def test_the_last_of_two_responses_to_one_prompt_counts_for_both():
    rows = [row("same", "a, b", NO_COMMA), row("same", "a", NO_COMMA)]
    assert SCORERS["ifeval"](rows).parts["strict-prompt"] == (1, 1)
    mended = SCORERS["ifeval"](rows, strict=True)
    assert mended.parts["strict-prompt"] == (0, 1)
    assert len(mended.notes) == 2


def test_no_letter_becomes_a_random_one_unless_strict():
    hashes = (
        "keywords:letter_frequency",
        {"letter": "#", "let_frequency": 2, "let_relation": "at least"},
    )
    guess = random.Random(4).choice(string.ascii_letters)  # noqa: S311
    said = guess.lower() * 2
    result = SCORERS["ifeval"]([row("x", said, hashes)], seed=4)
    assert (result.items, result.failed) == ((1,), 1)
    assert "random letter" in result.notes[0]
    assert SCORERS["ifeval"]([row("x", said, hashes)], seed=4, strict=True).items == (0,)
    assert SCORERS["ifeval"]([row("x", "##", hashes)], strict=True).items == (1,)


def test_what_cannot_be_checked_is_left_out_and_said():
    rows = [
        row("one", "fine", NO_COMMA),
        row("two", "fine", NO_COMMA, ("keywords:rhyme", {})),
    ]
    result = SCORERS["ifeval"](rows)
    assert result.items == (1, None)
    assert result.metrics["strict-instruction"] == 100
    assert result.unscored == 1
    assert result.notes == ("1 × not checked, keywords:rhyme: no such instruction",)


@pytest.mark.parametrize(
    ("missing", "name", "given"),
    [
        ("langdetect.detector", "language:response_language", {"language": "en"}),
        (
            "punkt",
            "length_constraints:number_sentences",
            {"num_sentences": 1, "relation": "at least"},
        ),
    ],
)
def test_a_missing_package_leaves_its_rows_unscored(monkeypatch, missing, name, given):
    monkeypatch.setitem(sys.modules, missing, None)
    held = (natural.language, natural._languages, natural._splitter)
    for each in held:
        each.cache_clear()
    result = SCORERS["ifeval"]([row("x", "Hello there.", (name, given)), row("y", "a", NO_COMMA)])
    assert result.items == (None, 1)
    assert missing in result.notes[0]
    assert "assistant[evaluate]" in result.notes[0]
    for each in held:
        each.cache_clear()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"instruction_id_list": "a"}, "instruction_id_list is not a list of texts"),
        ({"kwargs": []}, "kwargs has not one table for each instruction"),
        ({"kwargs": [3]}, "kwargs holds 3, not a table"),
        ({"prompt": None}, "prompt is missing"),
        ({"response": None}, "response is missing"),
    ],
)
def test_bad_rows_are_named(change, message):
    with pytest.raises(RowsError, match=f"row 1: {message}"):
        SCORERS["ifeval"]([row("x", "a", NO_COMMA) | change])


def test_no_rows_have_no_figures():
    assert SCORERS["ifeval"]([]).metrics == {}
