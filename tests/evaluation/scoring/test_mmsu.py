"""MMSU: the first character, else the last but one; what has neither is wrong."""

import pytest

from engines.evaluation.scoring import SCORERS, RowsError
from engines.evaluation.scoring.mmsu import answer


@pytest.mark.parametrize(
    ("response", "letter"),
    [
        ("A", "A"),
        ("D. A dog", "D"),
        ("  B\n", "B"),
        ("\nC", "C"),
        ("The answer is C.", "C"),
        ("It's (B)", "B"),
        ("Because it is D.", "B"),  # the first character decides
        ("it is\nD\n!", "D"),
        ("b", None),
        ("the answer is C", None),  # the last character is not asked
        ("E.", None),
        ("None", None),
        ("none D.", "D"),
        ("", None),
        ("   ", None),
        (None, None),
        (7, None),
    ],
)
def test_the_letter(response, letter):
    assert answer(response) == letter


@pytest.mark.parametrize(
    ("response", "letter"),
    [
        ("Because it is D.", "D"),
        ("Because", None),
        ("A dog", "A"),
        ("B", "B"),
        ("It is a CD.", None),
        ("it is (C)", "C"),
    ],
)
def test_strict_wants_the_letter_to_be_a_word(response, letter):
    assert answer(response, strict=True) == letter


def row(response, **more):
    return {
        "task_name": "emotion",
        "category": "Perception",
        "sub-category": "Linguistics",
        "sub-sub-category": "Semantics",
        "choice_a": "dog",
        "choice_b": "cat",
        "choice_c": "cow",
        "choice_d": "dog",
        "answer_gt": "dog",
        "response": response,
        **more,
    }


def test_accuracy_by_level_and_invalid_responses():
    rows = [
        row("A"),
        row("D"),  # the same text under another letter is as right
        row("B", task_name="pitch"),
        row("hm", category="Reasoning"),
        row("C", category="Reasoning", answer_gt="cow", **{"sub-category": "Paralinguistics"}),
    ]
    result = SCORERS["mmsu"](rows)
    assert result.items == (1, 1, 0, 0, 1)
    assert result.metrics == {"acc": 60, "invalid": 20, "acc_valid": 75}
    assert (result.n, result.failed, result.answers) == (5, 1, ("A", "D", "B", None, "C"))
    assert result.by["category"] == {"Perception": pytest.approx(200 / 3), "Reasoning": 50}
    assert result.by["sub-category"]["Reasoning / Linguistics"] == 0
    assert result.by["sub-category"]["Reasoning / Paralinguistics"] == 100
    assert result.by["sub-sub-category"]["Perception / Linguistics / Semantics"] == pytest.approx(
        200 / 3
    )
    assert result.by["task_name"] == {"emotion": 75, "pitch": 0}


def test_nothing_valid_has_no_valid_accuracy():
    assert SCORERS["mmsu"]([row("?")]).metrics == {"acc": 0, "invalid": 100}
    assert SCORERS["mmsu"]([]).metrics == {}


def test_the_authors_script_gives_an_empty_response_the_letter_before_it():
    given = ["", "A", "hm", None, "  ", "B", "None", "x"]
    rows = [row(response) for response in given]
    result = SCORERS["mmsu"](rows)
    assert result.items == (0, 1, 0, 0, 0, 0, 0, 0)
    # counted: A, the blank as A, B, None as B; left out: what is no letter, no text, or the first
    assert result.metrics == {"acc": 12.5, "invalid": 75, "acc_valid": 50}
    mended = SCORERS["mmsu"](rows, strict=True)
    assert mended.metrics == {"acc": 12.5, "invalid": 75, "acc_valid": 50}
    alone = [row("A"), row(""), row("")]
    assert SCORERS["mmsu"](alone).metrics["acc_valid"] == 100
    assert SCORERS["mmsu"]([row("B"), row(""), row("A")]).metrics["acc_valid"] == pytest.approx(
        100 / 3
    )
    assert SCORERS["mmsu"]([row("B"), row(""), row("A")], strict=True).metrics["acc_valid"] == 50


def test_a_choice_that_is_not_there_is_wrong_when_it_is_chosen():
    two = row("A", choice_c=None)
    del two["choice_d"]
    given = [two | {"response": letter} for letter in "ABCD"]
    result = SCORERS["mmsu"](given)
    assert (result.items, result.failed) == ((1, 0, 0, 0), 0)
    assert result.metrics == {"acc": 25, "invalid": 0, "acc_valid": 25}
    with pytest.raises(RowsError, match="row 1: answer_gt is missing"):
        SCORERS["mmsu"]([two | {"answer_gt": None}])
