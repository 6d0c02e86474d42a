"""What a judge's votes come to: marks of open answers, majorities of short ones."""

import pytest

from engines.evaluation.scoring import SCORERS, RowsError
from engines.evaluation.scoring.open_ended import mark
from engines.evaluation.scoring.qa import majority


@pytest.mark.parametrize(
    ("vote", "value"),
    [
        ("4", 4),
        (" 4.5\n", 4.5),
        ("Rating: [[3]]", 3),
        ("[[2]] or [[5]]", 2),
        ("[[4.5]]", None),  # digits alone
        ("10", 10),
        ("four", None),
        ("", None),
        ("nan", None),
        ("inf", None),
    ],
)
def test_a_mark(vote, value):
    assert mark(vote) == value


def test_strict_counts_no_mark_outside_the_scale():
    assert [mark(vote, strict=True) for vote in ("0", "1", "5", "6", "[[7]]")] == [
        None,
        1,
        5,
        None,
        None,
    ]


def test_the_mean_is_over_all_votes_not_over_rows():
    rows = [
        {"score": ["5", "4", "3"]},
        {"score": ["[[1]]"]},
        {"score": [2, 3.5]},
    ]
    result = SCORERS["open"](rows)
    assert result.metrics == {"gpt": pytest.approx((5 + 4 + 3 + 1 + 2 + 3.5) / 6)}
    assert result.items == (4, 1, 2.75)
    assert (result.failed, result.unscored, result.notes) == (0, 0, ())


def test_unjudged_rows_and_garbled_votes_are_counted_and_left_out():
    rows = [{"score": ["5", "no idea"]}, {}, {"score": None}, {"score": ["?"]}, {"score": []}]
    result = SCORERS["open"](rows)
    assert result.metrics == {"gpt": 5}
    assert result.items == (5, None, None, None, None)
    assert (result.failed, result.unscored) == (2, 4)
    assert result.notes == ("2 votes of the judge are no mark, and not counted",)


def test_without_a_judge_there_is_no_figure():
    result = SCORERS["open"]([{"response": "x"}])
    assert (result.metrics, result.items, result.unscored) == ({}, (None,), 1)


@pytest.mark.parametrize("score", ["5", {"a": 1}, [["5"]]])
def test_votes_of_another_form_are_refused(score):
    with pytest.raises(RowsError, match="row 1: score is not a list"):
        SCORERS["open"]([{"score": score}])


@pytest.mark.parametrize(
    ("votes", "verdict"),
    [
        (["Yes", "YES", "no"], True),
        (["yes", "No", "no"], False),
        (["Yes.", "yes.", "no"], False),  # "yes." is another word
        (["yes", "no"], True),  # no majority: the first decides
        (["no", "yes", "maybe"], False),
        ([], None),
    ],
)
def test_a_majority(votes, verdict):
    assert majority(votes) is verdict


def test_strict_reads_past_a_full_stop():
    assert majority(["Yes.", "Yes, it is", "no"], strict=True) is True
    assert majority(["", "no."], strict=True) is False
