"""The overall figure, against rows of the published leaderboard."""

import pytest

from engines.evaluation.scoring import KINDS, SCORERS, TASKS, Result, headline, overall

OPEN = ("alpacaeval", "commoneval", "wildvoice")


def results(figures: str) -> dict[str, Result]:
    """Of the columns as the leaderboard prints them."""
    found = {}
    for task, figure in zip(TASKS, map(float, figures.split("/")), strict=True):
        kind = KINDS[task]
        names = {
            "open": ["gpt"],
            "qa": ["panda", "gpt"],
            "ifeval": [
                f"{level}-{unit}"
                for level in ("strict", "loose")
                for unit in ("prompt", "instruction")
            ],
            "harm": ["refusal_rate"],
        }.get(kind, ["acc"])
        found[task] = Result(kind, 1, dict.fromkeys(names, figure))
    return found


@pytest.mark.parametrize(
    ("columns", "published"),
    [
        ("4.80/4.47/4.62/75.77/81.69/92.97/87.20/76.51/98.27", 87.80),
        ("4.68/4.46/4.35/47.47/59.10/80.00/77.90/78.99/99.81", 79.23),
        ("4.53/4.04/4.16/70.43/62.43/72.53/69.70/69.53/98.08", 77.48),
    ],
)
def test_the_published_overall_figures(columns, published):
    assert overall(results(columns)) == pytest.approx(published, abs=0.006)


def test_a_missing_task_or_part_leaves_no_overall():
    whole = results("4.80/4.47/4.62/75.77/81.69/92.97/87.20/76.51/98.27")
    for task in TASKS:
        assert overall({name: one for name, one in whole.items() if name != task}) is None
    unjudged = Result("qa", 1, {"gpt": 50.0})
    assert headline(unjudged) is None
    assert overall(whole | {"sd-qa": unjudged}) is None


def test_the_full_set_is_taken_where_there_is_one():
    whole = results("4.80/4.47/4.62/75.77/81.69/92.97/87.20/76.51/98.27")
    full = whole | {"alpacaeval_full": Result("open", 1, {"gpt": 3.80})}
    assert overall(full) == pytest.approx(overall(whole) - 20 / 9)


def test_every_kind_has_a_rule():
    assert set(KINDS.values()) <= set(SCORERS)
    assert set(TASKS) <= set(KINDS)
    assert all(KINDS[task] == "open" for task in OPEN)
