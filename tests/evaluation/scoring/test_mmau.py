"""MMAU: all words of the right choice, none of the wrong ones."""

import pytest

from engines.evaluation.scoring import SCORERS, RowsError
from engines.evaluation.scoring.mmau import right

CHOICES = ["A red car", "A blue car", "Two trains", "Man"]


@pytest.mark.parametrize(
    ("prediction", "verdict"),
    [
        ("A blue car", True),
        ("(B) a BLUE car!", True),
        ("car, blue, a", True),  # in any order
        ("I hear a blue car in the rain", True),
        ("blue car", False),  # a word is missing
        ("a blue car, not a red one", False),  # "red" belongs to a wrong choice
        ("a blue car and a man", False),
        ("a blue car and a woman", True),  # "man" is not a word of its own there
        ("a bluecar", False),
        ("B", False),
        ("", False),
        ("...", False),
    ],
)
def test_a_match(prediction, verdict):
    assert right(prediction, "A blue car", CHOICES) is verdict


def test_words_shared_with_the_answer_do_no_harm():
    assert right("three", "three", ["three", "thirty three"])
    assert not right("thirty three", "three", ["three", "thirty three"])
    assert not right("three", "thirty three", ["three", "thirty three"])
    assert right("Lärm 2", "Lärm 2", ["Lärm 2", "Lärm 3"])


def row(prediction, **more):
    return {
        "answer": "A blue car",
        "choices": CHOICES,
        "task": "sound",
        "difficulty": "easy",
        "sub-category": "Events",
        "model_prediction": prediction,
        **more,
    }


def test_accuracy_by_group():
    rows = [row("a blue car"), row("a man", task="music"), row("a blue car", difficulty="hard")]
    result = SCORERS["mmau"](rows)
    assert result.items == (1, 0, 1)
    assert result.metrics == {"acc": pytest.approx(200 / 3)}
    assert result.by == {
        "task": {"sound": 100, "music": 0},
        "difficulty": {"easy": 50, "hard": 100},
        "sub-category": {"Events": pytest.approx(200 / 3)},
    }
    assert "v05.15.25" in result.notes[0]


def test_the_version_is_named_where_the_rows_say_it():
    rows = [row("x", version="MMAU-v05.15.25")] * 2
    assert SCORERS["mmau"](rows).notes == ("questions of MMAU-v05.15.25",)


def test_rows_without_a_prediction_are_not_counted():
    without = row("")
    del without["model_prediction"]
    result = SCORERS["mmau"]([row("a blue car"), without])
    assert (result.metrics, result.unscored, result.items) == ({"acc": 100}, 1, (1, None))
    assert SCORERS["mmau"]([without]).metrics == {}


@pytest.mark.parametrize("choices", [None, "A, B", ["A", 3]])
def test_choices_of_another_form_are_refused(choices):
    with pytest.raises(RowsError, match="row 1: choices is not a list of texts"):
        SCORERS["mmau"]([row("x", choices=choices)])
