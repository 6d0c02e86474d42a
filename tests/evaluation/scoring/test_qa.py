"""SD-QA: PEDANT in a process of its own, and the judge's majority beside it."""

import pytest

from engines.evaluation.scoring import SCORERS, headline, pedant
from tests.evaluation.fakes import CONTAINED

ROWS = [
    {
        "prompt": "Where?",
        "reference": "PARIS",
        "response": "In Paris",
        "score": ["Yes", "yes", "No"],
    },
    {"prompt": "Who?", "reference": "Bob", "response": "Alice", "score": ["no", "no", "no"]},
    {"prompt": "When?", "reference": "May", "response": "In May", "score": ["No", "No", "Yes"]},
    {"prompt": "What?", "reference": "a dog", "response": "a cat"},
]


def test_both_judges_and_their_mean(package):
    package(CONTAINED)
    result = SCORERS["qa"](ROWS)
    assert result.parts["panda"] == (1, 0, 1, 0)
    assert result.parts["gpt"] == (1, 0, 0, None)
    assert result.items == (1, 0, 0.5, 0)
    assert result.metrics == {"panda": 50, "gpt": pytest.approx(100 / 3)}
    assert headline(result) == pytest.approx((50 + 100 / 3) / 2)
    assert (result.unscored, result.notes) == (0, ())


NOTED = "pathlib.Path(%r, str(os.getpid())).touch()"


def test_many_rows_are_shared_by_processes_and_keep_their_order(package, monkeypatch, tmp_path):
    package(f"import os, pathlib{CONTAINED}".replace("return", f"{NOTED % str(tmp_path)}; return"))
    monkeypatch.setattr(pedant.os, "sched_getaffinity", lambda _: range(3))
    rows = [("a", "a b" if place % 3 else "b", "c") for place in range(1200)]
    assert pedant.judge(rows) == [bool(place % 3) for place in range(1200)]
    assert 2 <= sum(path.name.isdecimal() for path in tmp_path.iterdir()) <= 3


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("raise FileNotFoundError('classifier/lr_classifier.pkl')", "could not be downloaded"),
        ("import no_such_package", "No module named 'no_such_package'"),
        ("raise SystemExit(3)", "exit code 3"),
        ("import os; os._exit(0)", "something else than 4 verdicts"),
    ],
)
def test_without_pedant_the_judge_stands_alone(package, body, reason):
    package(body)
    result = SCORERS["qa"](ROWS)
    assert result.metrics == {"gpt": pytest.approx(100 / 3)}
    assert result.items == (1, 0, 0, None)
    assert result.unscored == 1
    assert "PEDANT did not score" in result.notes[0]
    assert reason in result.notes[0]
    assert headline(result) is None


def test_a_python_that_is_not_there_is_named(monkeypatch):
    monkeypatch.setenv(pedant.PYTHON, "/no/such/python")
    with pytest.raises(pedant.PedantError, match="/no/such/python: No such file"):
        pedant.judge([("a", "b", "c")])


def test_a_missing_package_is_named_with_the_remedy(monkeypatch):
    monkeypatch.delenv(pedant.PYTHON, raising=False)
    with pytest.raises(pedant.PedantError, match="qa-metrics"):
        pedant.judge([("a", "b", "c")])


def test_nothing_to_judge_starts_no_process(monkeypatch):
    monkeypatch.setenv(pedant.PYTHON, "/no/such/python")
    assert pedant.judge([]) == []


def test_a_tie_is_noted(package):
    package(CONTAINED)
    result = SCORERS["qa"]([ROWS[0] | {"score": ["no", "yes"]}])
    assert result.parts["gpt"] == (0,)
    assert result.notes == ("1 rows have no majority of the judge's votes: the first one decided",)
