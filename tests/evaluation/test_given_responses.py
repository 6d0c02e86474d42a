"""Responses made elsewhere: nothing missing, unknown or answered twice is scored."""

import json

import pytest

from assistant.errors import UserError
from engines.evaluation.benchmarks.catalogue import BENCHMARKS
from engines.evaluation.benchmarks.data import find
from tests.evaluation.test_benchmark_commands import evaluated, scores


def data_rows(published, benchmark, subset="", split=""):
    splits = find(BENCHMARKS[benchmark], published / benchmark, (subset,) if subset else ())
    return [
        {**item.row, "response": "Sure."}
        for each in splits
        if split in {"", each.name}
        for item in each.read(lambda _: True, sound=False)
    ]


@pytest.fixture
def score(published, tmp_path):
    def given(benchmark, rows, name="mine.jsonl", *, data=True):
        path = tmp_path / name
        path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
        options = ["--data", published / benchmark] if data else []
        evaluated(benchmark, "--responses", path, "--out", tmp_path / "out", *options)
        return scores(tmp_path / "out")

    return given


CASES = [
    ("voicebench", "bbh", "", "id", "bbh-test-audio.jsonl"),
    ("voicebench", "ifeval", "", "key", "ifeval-test-audio.jsonl"),
    ("voicebench", "mmsu", "law", "question_id", "mmsu-law-audio.jsonl"),
    ("mmsu", "", "", "id", "mmsu.jsonl"),
    ("mmau", "", "", "id", "mmau.jsonl"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case[-1])
def test_items_are_told_by_their_ids(published, score, case):
    benchmark, subset, split, column, name = case
    rows = data_rows(published, benchmark, subset, split)
    names = [str(row[column]) for row in rows]
    (found,) = score(benchmark, rows[::-1], name).values()
    assert found["n"] == len(rows)
    with pytest.raises(UserError, match=f"answers items twice: {names[3]}, {names[5]}; keep one"):
        score(benchmark, [*rows, rows[3], rows[5]], name)
    with pytest.raises(UserError, match=f"lacks the items {names[2]}, {names[4]}; answer them"):
        score(benchmark, [*rows[:2], rows[3], *rows[5:]], name)
    with pytest.raises(UserError, match="items that the data has not: strange"):
        score(benchmark, [*rows, {**rows[0], column: "strange"}], name)


def test_a_row_without_an_id_is_named_by_its_place(published, score):
    rows = data_rows(published, "mmau")
    del rows[2]["id"]
    rows[6]["id"] = ""
    with pytest.raises(UserError, match="no id in the rows 3, 7"):
        score("mmau", rows)


def test_answers_are_not_counted_twice_where_there_is_no_data_either(published, score):
    rows = data_rows(published, "voicebench", "bbh")
    with pytest.raises(UserError, match=f"answers items twice: {rows[0]['id']}; keep one"):
        score("voicebench", [*rows, rows[0]], "bbh-test.jsonl", data=False)


def test_of_many_ids_the_first_are_named_and_the_others_counted(published, score):
    rows = data_rows(published, "mmsu")
    with pytest.raises(UserError, match=r"lacks the items item_0, .*, item_9 and 20 more;"):
        score("mmsu", rows[30:])


def test_rows_without_ids_must_be_in_the_datas_order(published, score):
    rows = data_rows(published, "voicebench", "advbench")
    assert score("voicebench", rows, "advbench-test-audio.jsonl")["advbench"]["n"] == 40
    with pytest.raises(UserError, match="has 39 responses, the data 40 items"):
        score("voicebench", rows[1:], "advbench-test-audio.jsonl")
    other = next(n for n in range(2, 40) if rows[n]["prompt"] != rows[1]["prompt"])
    rows[1], rows[other] = rows[other], rows[1]
    with pytest.raises(UserError, match="the prompt of row 2 is not that of advbench/test/1"):
        score("voicebench", rows, "advbench-test-audio.jsonl")


@pytest.mark.parametrize("column", ["model_prediction", "model_output"])
def test_mmau_responses_may_be_called_what_its_own_scripts_call_them(published, score, column):
    rows = data_rows(published, "mmau")
    for row in rows:
        del row["response"]
        row[column] = row["answer"]
    assert score("mmau", rows)["mmau"]["value"] == 100
    del rows[4][column]
    with pytest.raises(UserError, match="row 5 has no text called response"):
        score("mmau", rows)
