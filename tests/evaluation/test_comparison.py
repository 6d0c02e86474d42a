"""Two runs compared: paired items, their intervals, and what is refused."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from assistant.cli.main import app
from assistant.errors import UserError
from engines.evaluation.comparison import ComparisonError, compare, read_run


def run(folder: Path, items: dict[str, float | None], **changes: object) -> Path:
    kinds = {"openbookqa": "mcq", "alpacaeval": "open", "alpacaeval_full": "open", "sd-qa": "qa"}
    subsets = dict.fromkeys(key.split("/")[0] for key in items)
    summary = {
        "benchmark": "voicebench",
        "scores": [{"subset": s, "title": s.upper(), "kind": kinds[s]} for s in subsets],
        "run": {"seed": 0, "strict": False},
    }
    folder.mkdir()
    (folder / "scores.json").write_text(json.dumps(summary | changes))
    lines = [
        json.dumps({"item": key, "score": score, "failed": False}) for key, score in items.items()
    ]
    (folder / "items.jsonl").write_text("\n".join(lines) + "\n")
    return folder


def numbered(subset: str, scores: list[float | None]) -> dict[str, float | None]:
    return {f"{subset}/test/{place}": score for place, score in enumerate(scores)}


def test_items_are_paired_and_scaled_to_percent(tmp_path):
    one = numbered("openbookqa", [1, 0, 0, 1]) | numbered("alpacaeval", [4, 5])
    two = numbered("openbookqa", [1, 1, 1, 0]) | numbered("alpacaeval", [3, 5])
    found = compare(read_run(run(tmp_path / "a", one)), read_run(run(tmp_path / "b", two)))
    choice, marks = found.subsets
    assert (choice.subset, choice.title, choice.n) == ("openbookqa", "OPENBOOKQA", 4)
    assert (choice.first, choice.second, choice.difference) == (50, 75, 25)
    assert (choice.better, choice.worse) == (2, 1)
    assert (choice.low, choice.high) == (-50, 100)  # all four better has a chance of 1 in 16
    assert not choice.sure
    assert (marks.first, marks.second, marks.difference) == (90, 80, -10)
    assert marks.low == -20
    assert marks.high == 0
    assert found.overall is not None
    assert found.overall.difference == pytest.approx(7.5)
    assert found.overall.n == 6
    assert found.changed[:3] == ("openbookqa/test/1", "openbookqa/test/2", "openbookqa/test/3")
    assert found.notes == ()


def test_the_interval_is_that_of_the_paired_mean(tmp_path):
    """600 items, a third of them better: the standard error is 0.0192, 1.96 of it 3.8 points."""
    one = numbered("openbookqa", [0.0] * 600)
    two = numbered("openbookqa", [1.0, 0.0, 0.0] * 200)
    (found,) = compare(
        read_run(run(tmp_path / "a", one)), read_run(run(tmp_path / "b", two))
    ).subsets
    assert found.difference == pytest.approx(100 / 3)
    assert found.low == pytest.approx(100 / 3 - 3.77, abs=0.5)
    assert found.high == pytest.approx(100 / 3 + 3.77, abs=0.5)
    assert found.sure


def test_a_run_is_as_good_as_itself(tmp_path):
    folder = run(tmp_path / "a", numbered("openbookqa", [1, 0, 1]))
    found = compare(read_run(folder), read_run(folder))
    (only,) = found.subsets
    assert (only.difference, only.low, only.high) == (0, 0, 0)
    assert found.overall is None
    assert found.changed == ()


def test_what_only_one_run_has_is_left_out_and_said(tmp_path):
    one = numbered("openbookqa", [1, None, 0]) | numbered("sd-qa", [0.5])
    two = numbered("openbookqa", [1, 1]) | numbered("alpacaeval", [4])
    b = run(tmp_path / "b", two, run={"seed": 1, "strict": False, "judge": "x"})
    found = compare(read_run(run(tmp_path / "a", one)), read_run(b))
    assert [(each.subset, each.n) for each in found.subsets] == [("openbookqa", 1)]
    assert found.notes == (
        "alpacaeval: 1 items are scored in one run only, and left out",
        "openbookqa: 2 items are scored in one run only, and left out",
        "sd-qa: 1 items are scored in one run only, and left out",
        "the runs differ in seed: 0 and 1",
        "the runs differ in judge: None and x",
        "qa: means over items, which the published figure is not quite",
    )


def test_what_neither_run_has_scored_is_not_said_of_one(tmp_path):
    one = numbered("openbookqa", [1, None, None, 0]) | numbered("alpacaeval", [None, None])
    two = numbered("openbookqa", [1, None, 1, None]) | numbered("alpacaeval", [None, None])
    a, b = run(tmp_path / "a", one), run(tmp_path / "b", two)
    assert compare(read_run(a), read_run(b)).notes == (
        "alpacaeval: 2 items are scored in neither run, and left out",
        "openbookqa: 2 items are scored in one run only, and left out",
        "openbookqa: 1 items are scored in neither run, and left out",
    )


def test_only_the_subsets_of_the_leaderboard_make_the_overall(tmp_path):
    items = {}
    for subset in ("openbookqa", "alpacaeval", "alpacaeval_full", "sd-qa"):
        items |= numbered(subset, [1, 1])
    a = read_run(run(tmp_path / "a", items))
    found = compare(a, a)
    assert [one.subset for one in found.subsets] == list(
        dict.fromkeys(k.split("/")[0] for k in items)
    )
    assert found.overall is not None
    assert (found.overall.title, found.overall.n) == ("mean of 3", 6)


def test_runs_of_two_benchmarks_or_without_common_items_are_refused(tmp_path):
    one = read_run(run(tmp_path / "a", numbered("openbookqa", [1])))
    other = read_run(run(tmp_path / "b", numbered("openbookqa", [1]), benchmark="mmau"))
    with pytest.raises(ComparisonError, match=r"a run of voicebench, .* of mmau"):
        compare(one, other)
    apart = read_run(run(tmp_path / "c", {"openbookqa/test/9": 1}))
    with pytest.raises(ComparisonError, match="share no scored item"):
        compare(one, apart)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("scores.json", "{", "no JSON"),
        ("scores.json", "[]", "not written by assistant evaluate"),
        ("scores.json", '{"scores": []}', "says no benchmark"),
        ("items.jsonl", "{}\n", "items.jsonl:1: not an item with a score"),
        ("items.jsonl", '{"item": "a/b/0", "score": "1"}\n', "items.jsonl:1: not an item"),
        ("items.jsonl", '{"item": "a/b/0", "score": NaN}\n', "items.jsonl:1: not an item"),
        ("items.jsonl", '{"item": "a/b/0", "score": 1}\n' * 2, "item a/b/0 is there twice"),
        ("items.jsonl", b"\xff\n", "not text"),
    ],
)
def test_damaged_files_are_named(tmp_path, name, content, message):
    folder = run(tmp_path / "a", numbered("openbookqa", [1]))
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ComparisonError, match=message):
        read_run(folder)


def test_the_command_prints_a_table_or_json(tmp_path):
    a = run(tmp_path / "a", numbered("openbookqa", [1, 0]))
    b = run(tmp_path / "b", numbered("openbookqa", [1, 1]))
    shown = CliRunner().invoke(app, ["evaluate", "compare", str(a), str(b)])
    assert shown.exit_code == 0
    assert "OPENBOOKQA" in shown.output
    assert "openbookqa/test/1" in shown.output
    told = CliRunner().invoke(app, ["evaluate", "compare", str(a), str(b), "--json"])
    assert json.loads(told.output)["subsets"][0]["difference"] == 50


def test_a_folder_that_is_no_run_is_one_line(tmp_path):
    result = CliRunner().invoke(app, ["evaluate", "compare", str(tmp_path), str(tmp_path)])
    assert isinstance(result.exception, UserError)
    assert "scores.json: No such file or directory; name the --out folder" in str(result.exception)
