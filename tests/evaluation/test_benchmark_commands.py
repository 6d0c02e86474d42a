"""The commands from end to end: answered, judged, scored and reported."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from assistant.cli.main import app
from assistant.errors import UserError
from tests.evaluation.chat_server import Reply, marks

NANO = Path(__file__).parents[2] / "engines" / "nano"


def evaluated(*arguments: object) -> str:
    result = CliRunner().invoke(app, ["evaluate", *map(str, arguments)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def scores(out: Path) -> dict[str, dict]:
    return {
        each["subset"]: each for each in json.loads((out / "scores.json").read_text())["scores"]
    }


def test_nano_runs_a_benchmark_in_two_shards_and_the_last_reports(published, tmp_path):
    out = tmp_path / "run"
    run = ["mmsu", "--data", published / "mmsu", "--model", NANO, "--out", out, "--limit", 6]
    assert "items are answered" in evaluated(*run, "--shard", "1/2")
    assert not (out / "report.md").exists()
    evaluated(*run, "--shard", "2/2")
    report = (out / "report.md").read_text()
    for told in (
        "model sha256", "4 tokens in blocks of 4", "not told", "DIFFA-2", "60.45",
        "latency, p95", "passes a token", "real-time factor", "engine busy",
    ):  # fmt: skip
        assert told in report
    speed = json.loads((out / "scores.json").read_text())["speed"]
    assert (speed["items"], speed["failed"]) == (6, 0)
    with pytest.raises(UserError, match="begun with another decoding"):
        evaluated(*run, "--tokens", 8)
    record = json.loads((out / "run.json").read_text())
    assert (record["batch"], record["runs_on"]) == (8, "onnxruntime on cpu")
    with pytest.raises(
        UserError, match=r"begun with another batch \(8, now 4\) \(see .*run.json\)"
    ):
        evaluated(*run, "--batch", 4)


def test_a_judge_marks_is_asked_for_nothing_twice_and_may_die_half_way(published, tmp_path, server):
    out = tmp_path / "run"
    run = ["voicebench", "--data", published / "voicebench", "--model", NANO, "--out", out]
    run += ["--subset", "alpacaeval_full", "--limit", 6]
    evaluated(*run)
    assert scores(out)["alpacaeval_full"]["value"] is None
    assert "not scored" in (out / "report.md").read_text()
    judged = [*run, "--judge-url", server.url, "--judge-model", "judge", "--judge-workers", 1]

    def dies(number, asked):
        if number == 1:
            return Reply(429, headers={"Retry-After": "0"})
        return marks(asked) if number <= 4 else Reply(401)

    server.answer = dies
    with pytest.raises(UserError, match=r"answers 401; check .* votes so far are kept"):
        evaluated(*judged)
    votes = (out / "judge.jsonl").read_text().splitlines()
    assert len(votes) == 3
    server.answer = lambda _number, asked: marks(asked)
    before = len(server.asked)
    evaluated(*judged)
    assert len(server.asked) - before == 3
    assert scores(out)["alpacaeval_full"]["value"] == 4
    asked = server.asked[-1]
    settings = {name: asked[name] for name in ("n", "temperature", "top_p", "max_tokens")}
    assert settings == {"n": 3, "temperature": 0.5, "top_p": 0.95, "max_tokens": 1024}
    evaluated(*judged)
    assert len(server.asked) - before == 3


def test_a_cascade_is_judged_by_the_same_command(published, tmp_path, server):
    pytest.importorskip("pocketsphinx")
    out = tmp_path / "run"
    model = f"cascade:asr=pocketsphinx,llm={server.url},model=chat"
    evaluated(
        "voicebench", "--data", published / "voicebench", "--model", model, "--out", out,
        "--subset", "advbench", "--limit", 2,
    )  # fmt: skip
    assert "max_tokens" not in server.asked[-1]
    assert server.asked[-1]["temperature"] == 0
    assert scores(out)["advbench"]["n"] == 2
    lines = (out / "responses" / "cascade-pocketsphinx-advbench-test-audio.jsonl").read_text()
    assert [json.loads(line)["response"] for line in lines.splitlines()] == ["[[4]]"] * 2


def test_responses_made_elsewhere_must_be_of_the_datas_items(published, tmp_path):
    data, path = published / "mmsu", tmp_path / "mine.jsonl"
    rows = [json.loads(line) for line in (data / "question" / "mmsu.jsonl").open()]
    rows = [{**row, "response": "A"} for row in rows]

    def given(kept: list[dict]) -> str:
        path.write_text("".join(json.dumps(row) + "\n" for row in kept))
        return evaluated("mmsu", "--responses", path, "--data", data, "--out", tmp_path / "out")

    given(rows)
    assert scores(tmp_path / "out")["mmsu"]["value"] == 25
    page = (tmp_path / "out" / "report.html").read_text()
    assert "<svg" in page
    assert "prefers-color-scheme:dark" in page
    with pytest.raises(UserError, match="answers items twice: item_0;"):
        given([rows[0], *rows])
    with pytest.raises(UserError, match="lacks the items item_3, item_7;"):
        given([row for row in rows if row["id"] not in {"item_3", "item_7"}])
    with pytest.raises(UserError, match="items that the data has not: item_99"):
        given([*rows, {**rows[0], "id": "item_99"}])
