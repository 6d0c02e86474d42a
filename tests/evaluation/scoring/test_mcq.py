"""The letter of a multiple-choice answer: templates in order, then prefixes, then a guess."""

import random

import pytest

from engines.evaluation.scoring import SCORERS, RowsError
from engines.evaluation.scoring.mcq import answer
from engines.evaluation.scoring.tables import table

TEMPLATES = table("mcq", "templates")


def test_every_template_is_there_and_holds_one_letter():
    assert (len(TEMPLATES), len(set(TEMPLATES))) == (163, 162)
    assert all(template.count("§") == 1 for template in TEMPLATES)
    assert all(template == template.lower() for template in TEMPLATES)


@pytest.mark.parametrize("letter", "abcd")
def test_every_template_finds_every_letter(letter):
    for template in TEMPLATES:
        assert answer(f"So: {template.replace('§', letter.upper())}") == letter.upper(), template


@pytest.mark.parametrize(
    ("said", "read"),
    [
        ("C", "C"),
        ("c", "C"),
        ("D. Paris", "D"),
        ("d: paris", "D"),
        ("b) paris", "B"),
        ("a, of course", "A"),
        ("<1>B", "B"),
        ("<2>  c.", "C"),
        ("<4>b", None),
        (" C", None),  # a bare letter is all of the response
        ("C!", None),
        ("c ", None),
        ("E", None),
        ("", None),
        ("The answer is B.", "B"),
        ("the answer is carbon", "C"),  # no end of word is asked for
        ("The answer is not here. Option D.", "D"),
        # template order: "the answer is §" comes before "option §."
        ("Option A. No: the answer is D", "D"),
        # letter order within one template: a before d, wherever they stand
        ("would be d or would be a", "A"),
        # "is §," precedes " §." in the list
        ("Well, a. But it is b, really", "B"),
        ("Paris (b)", "B"),
        ("答案是C", "C"),
        ("B是正确的", "B"),
        ("It is:\n**D.", "D"),
        (r"The result is \( \boxed{\text{b}} \)", "B"),
        ("a dog", None),
        ("it's a.", "A"),  # the end of a sentence will do
        ("**b: text", None),
        # the three phrases that the official evaluator spells out
        ("would be a.", "A"),
        ('would be "a.', "A"),
        ("the best option from the given choices would be a scorpion (a)", "A"),
    ],
)
def test_what_is_read(said, read):
    assert answer(said) == read


@pytest.mark.parametrize(
    ("said", "read"),
    [
        ("the answer is carbon", None),
        ("the answer is carbon, so the answer is D", "D"),
        ("would be beautiful, but would be b", "B"),
        ("B是正确的", "B"),
        ("ab是正确的", None),
        ("The answer is B.", "B"),
    ],
)
def test_strict_wants_the_letter_to_be_a_word(said, read):
    assert answer(said, strict=True) == read


def rows(*pairs):
    return [{"reference": right, "response": said, "split": "law"} for right, said in pairs]


def test_guesses_are_seeded_and_counted():
    given = rows(("B", "the answer is b"), ("A", "b."), ("C", "hm"), ("D", "who knows"))
    guesses = random.Random(7)  # noqa: S311
    lucky = [float(guesses.choice("ABCD") == right) for right in "CD"]
    result = SCORERS["mcq"](given, seed=7)
    assert result.items == (1, 0, *lucky)
    assert result.metrics == {"acc": 100 * (1 + sum(lucky)) / 4, "fail": 50.0}
    assert (result.failed, result.answers) == (2, ("B", "B", None, None))
    assert result.by == {"split": {"law": result.metrics["acc"]}}
    several = {SCORERS["mcq"](given, seed=seed).items for seed in range(20)}
    assert len(several) > 1


def test_strict_guesses_nothing_and_says_so():
    result = SCORERS["mcq"](rows(("A", ""), ("C", "the answer is carbon"), ("B", "b")), strict=True)
    assert result.items == (0, 0, 1)
    assert result.failed == 2
    assert len(result.notes) == 2


def test_a_reference_is_compared_as_it_is():
    assert SCORERS["mcq"](rows(("b", "b"))).items == (0,)


def test_a_row_without_a_reference_is_named():
    with pytest.raises(RowsError, match="row 1: reference is missing"):
        SCORERS["mcq"]([{"response": "a"}])
