"""The rules of BIG-Bench Hard: their order, their defects, what is guessed."""

import random

import pytest

from engines.evaluation.scoring import SCORERS, RowsError
from engines.evaluation.scoring.bbh import TASKS, Rule, answer, plain, rules


def test_every_rule_is_there():
    assert {task: len(rules(task)) for task in TASKS} == {
        "hyperbaton": 210,
        "web_of_lies": 30 + 31,
        "navigate": 30 + 39,
        "sports_understanding": 30 + 71,
    }


@pytest.mark.parametrize("task", TASKS)
def test_every_rule_is_in_the_form_that_responses_are_brought_to(task):
    """But two that hold a full stop, which no plain response has: they never fit."""
    patterns = {rule.pattern for rule in rules(task)}
    odd = {
        pattern
        for pattern in patterns
        if plain(pattern.replace(" ... ", " ")) != (pattern.replace(" ... ", " ").strip())
    }
    assert odd == (
        {"i would say that it is not a plausible sentence."}
        if task == "sports_understanding"
        else set()
    )


@pytest.mark.parametrize(
    ("said", "made"),
    [
        ("The Answer: **No.**", "the answer no"),
        ("<2> A) first", "a) first"),
        ("yes<|turn_end|>", "yes"),
        (" yes<|user|>", "yes"),
        ("yes<|user|> ", "yes<|user|>"),  # only at the very end
        (" <1>no", "<1>no"),  # only at the very beginning
        ('well-known, "that"：it\'s *fine*', "well known that it's *fine*"),
        ("a\n\n b\t.", "a b"),
    ],
)
def test_the_plain_form(said, made):
    assert plain(said) == made


@pytest.mark.parametrize(
    ("task", "said", "read"),
    [
        ("hyperbaton", "A", 0),
        ("hyperbaton", "(B)", None),
        ("hyperbaton", "b", 0),  # the authors' slip
        ("hyperbaton", "B.", 0),
        ("hyperbaton", "B) old small car", 1),
        ("hyperbaton", "b is right", 1),
        ("hyperbaton", "A, because", 0),
        ("hyperbaton", "apple", None),
        ("hyperbaton", "The answer is (B). Not: the answer is (A)", 0),  # (a) is asked first
        ("hyperbaton", "The answer is B, surely", 1),
        ("hyperbaton", "The answer is bananas", 1),  # no end of word is asked for
        ("hyperbaton", "The correct adjective order is in the second option", 1),
        ("hyperbaton", "Option A is incorrect and option B is correct.", 1),
        # "option a is the correct" would mean the first, but the (b) rule is asked before
        ("hyperbaton", "Option A is the correct? no: option (B) is the correct answer", 1),
        ("hyperbaton", "Option B follows the typical order of adjectives", 1),
        ("hyperbaton", "Option A follows the typical order of adjectives", None),
        ("hyperbaton", "Sentence B, in short, seems to have a more logical flow", 1),
        ("hyperbaton", "sentence b seems to have a more logical flow", None),  # nothing between
        ("hyperbaton", "The correct adjective order is the one of option B", 1),
        ("web_of_lies", "The answer is no. The answer is yes.", 0),
        ("web_of_lies", "final answer: yes", 1),
        ("web_of_lies", r"The answer is $\boxed{\text{True}}$", 1),
        ("web_of_lies", r"The answer is \boxed{no}", 0),
        ("web_of_lies", "The answer is: Ka tells the truth", 1),
        ("web_of_lies", "The answer is: Ka does not tell the truth", 0),
        ("web_of_lies", "The answer is Ka lies though Bo tells the truth", 0),
        ("web_of_lies", "So Ka is lying", 0),
        ("web_of_lies", "So Ka must be lying", 1),  # the authors' slip
        ("web_of_lies", "So Ka must be telling the truth.", 1),
        ("web_of_lies", "So everybody lies", 0),
        ("web_of_lies", "Nobody knows", 0),  # begins with "no"
        ("web_of_lies", "I think so, yes", 1),
        ("web_of_lies", "It is known", None),
        ("web_of_lies", "I heard a piano", 0),  # ends with "no"
        ("navigate", "You return to the starting point", 1),
        ("navigate", "You do not return to the starting point", 0),
        ("navigate", "Then you return to the starting point. The answer is no", 0),
        ("navigate", "We are back at the starting point!", 1),
        ("navigate", "I'll be back where I started", None),  # apostrophes stay, the rules have none
        ("navigate", "Following these instructions will always return us to the starting point", 1),
        ("navigate", "Not at all", 0),
        ("sports_understanding", "The sentence is not plausible", 0),
        ("sports_understanding", 'The sentence "He dunked" is not plausible', 1),  # their slip
        ("sports_understanding", 'The sentence "He dunked" is not very plausible', 0),
        ("sports_understanding", "Considering these points, the sentence is plausible.", 1),
        ("sports_understanding", 'Considering these points, the sentence "x" is plausible.', 1),
        ("sports_understanding", "Not plausible.", 0),
        ("sports_understanding", "The following sentence is plausible", 1),
        ("sports_understanding", "I would answer yes", 1),
        ("sports_understanding", "It is plausible", None),
        ("sports_understanding", "", None),
    ],
)
def test_what_is_read(task, said, read):
    assert answer(said, task) == read


def test_a_gap_holds_at_least_one_character():
    rule = Rule(1, "left ... right")
    assert rule.fits("left x right")
    assert rule.fits("left left right")
    assert not rule.fits("left right")
    assert not rule.fits("right x left")
    assert rule.fits("my left hand is not right")


def row(name, reference, response):
    return {"id": f"bbh-{name}-1", "reference": reference, "response": response}


ROWS = [
    row("hyperbaton", "(B)", "b"),
    row("hyperbaton", "(A)", "The answer is (A)."),
    row("navigate", "Yes", "Hm."),
    row("sports_understanding", "no", 'The sentence "x" is not plausible'),
    row("web_of_lies", "No", "Ka must be lying"),
    row("web_of_lies", "no", "???"),
]


def test_the_score_and_what_it_was_made_of():
    result = SCORERS["bbh"](ROWS, seed=3)
    guesses = random.Random(3)  # noqa: S311
    lucky = [float(guesses.choice([0, 1]) == 1), float(guesses.choice([0, 1]) == 0)]
    assert result.items == (0, 1, lucky[0], 0, 0, lucky[1])
    assert result.metrics == {
        "acc": pytest.approx(100 * (1 + sum(lucky)) / 6),
        "fail": pytest.approx(100 * 2 / 6),
    }
    assert result.failed == 2
    assert result.answers == ("(a)", "(a)", None, "yes", "yes", None)
    assert result.by["task"]["hyperbaton"] == 50
    assert result == SCORERS["bbh"](ROWS, seed=3)
    assert result.notes == ()


def test_strict_mends_the_slips_and_guesses_nothing():
    result = SCORERS["bbh"](ROWS, strict=True)
    assert result.items == (1, 1, 0, 1, 1, 0)
    assert result.failed == 2
    assert len(result.notes) == 4


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"id": "bbh-dyck-1"}, "row 1: id 'bbh-dyck-1' names none of sports_understanding"),
        ({"reference": "maybe"}, "row 1: reference 'maybe' is no answer of bbh"),
        ({"response": None}, "row 1: response is missing"),
    ],
)
def test_bad_rows_are_named(change, message):
    with pytest.raises(RowsError, match=message):
        SCORERS["bbh"]([ROWS[0] | change])
