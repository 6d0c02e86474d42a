"""SD-QA: PEDANT in a process of its own, and the judge's majority beside it."""

import sys

import pytest

from engines.evaluation.scoring import SCORERS, headline, pedant

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


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A stand-in for qa-metrics, as noisy as the real one."""

    def write(body: str) -> None:
        folder = tmp_path / "qa_metrics"
        folder.mkdir()
        (folder / "__init__.py").touch()
        (folder / "pedant.py").write_text(body)
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))
        monkeypatch.setenv(pedant.PYTHON, sys.executable)

    return write


CONTAINED = """
class PEDANT:
    def __init__(self):
        print("Loading Classifier...")

    def evaluate(self, references, response, prompt):
        assert prompt.islower(), prompt
        return references[0] in response
"""


def test_both_judges_and_their_mean(package):
    package(CONTAINED)
    result = SCORERS["qa"](ROWS)
    assert result.parts["panda"] == (1, 0, 1, 0)
    assert result.parts["gpt"] == (1, 0, 0, None)
    assert result.items == (1, 0, 0.5, 0)
    assert result.metrics == {"panda": 50, "gpt": pytest.approx(100 / 3)}
    assert headline(result) == pytest.approx((50 + 100 / 3) / 2)
    assert (result.unscored, result.notes) == (0, ())


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
